"""Laws of a board, on tiny models of every family."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.events import Preview
from pipelines.methods.storyboard.board import Finished, _in_company, _Pace, _to_the_end, draw_board, take_all
from pipelines.methods.storyboard.company import Company
from pipelines.methods.storyboard.kept import Kept
from pipelines.methods.storyboard.request import StoryboardRequest
from pipelines.methods.storyboard.takes import wanted_of

TEXTS = ("rolls over the grass", "jumps in the snow", "spins", "rises in the rain", "falls")
STEPS = 4


@pytest.fixture(params=["wan", "cogvideox", "animatediff"])
def backbone(request: pytest.FixtureRequest):
    """Cross attention, joint attention, and a UNet."""
    return request.getfixturevalue(request.param)


def ask(count: int = 4, **changes) -> StoryboardRequest:
    """A board of so many shots, whose windows are wide enough for a few steps."""
    base = {
        "prompt": "a red ball", "shots": [{"text": text, "seed": at} for at, text in enumerate(TEXTS[:count])], "seed": 0, "steps": STEPS,
        "guidance": 3.0, "width": 32, "height": 32, "frames": 9, "share_from": 1000, "share_until": 300, "refine_from": 1000,
        "refine_until": 500, "keep_until": 700, "masks": "preview",
    }  # fmt: skip
    return StoryboardRequest.read(base | changes)


def middle(frames: np.ndarray, words: str) -> np.ndarray:
    """A segmenter that finds everything in the middle."""
    found = np.zeros(frames.shape[:3], np.float32)
    found[:, frames.shape[1] // 4 : -frames.shape[1] // 4, frames.shape[2] // 4 : -frames.shape[2] // 4] = 1
    return found


def nowhere(frames: np.ndarray, words: str) -> np.ndarray:
    """One that finds nothing."""
    return np.zeros(frames.shape[:3], np.float32)


def words_of(board: StoryboardRequest) -> list[str]:
    return [board.words(number) for number in range(len(board.shots))]


def latents(backbone, board: StoryboardRequest, segment=middle) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """Number of each shot -> its last latents in company and alone."""
    takes = take_all(backbone, board, words_of(board), board.prompt)
    company = Company(backbone, board, wanted_of(board, backbone, takes[0].alone.schedule.timesteps.tolist()), segment)
    pace, kept = _Pace(len(takes) * board.steps), Kept(None, board)
    for _ in (*_in_company(company, takes, pace, kept, 0), *_to_the_end(company, takes, pace)):
        pass
    return {take.number: ((take.ours or take.alone).latents, take.alone.latents) for take in takes}


def finished(backbone, board: StoryboardRequest, segment=middle, kept: Kept | None = None) -> dict[int, Finished]:
    events = draw_board(backbone, board, words_of(board), board.prompt, segment, kept)
    return {event.number: event for event in events if isinstance(event, Finished)}


def close(first: torch.Tensor, second: torch.Tensor, tolerance: float = 1e-5) -> bool:
    """The same but for float noise; an untrained UNet's latents grow large."""
    return float((first - second).abs().max()) <= tolerance * max(1.0, float(second.abs().max()))


def plain(backbone, board: StoryboardRequest, number: int) -> torch.Tensor:
    """The shot as plain generation draws it."""
    noise = backbone.initial_noise(board.frames, board.height, board.width, board.shots[number].seed)
    schedule = backbone.schedule(board.steps, noise, board.shots[number].seed)
    text, empty = backbone.encode_text([board.words(number), ""]).chunk(2)
    with torch.no_grad():
        for index, timestep in enumerate(schedule.timesteps):
            noise = schedule.step(backbone.guided(noise, timestep, text, empty, board.guidance), index, noise)
    return noise


def test_one_shot_is_plain_generation(backbone) -> None:
    board = ask(1)
    assert np.array_equal(finished(backbone, board)[0].frames, backbone.decode_video(plain(backbone, board, 0)))


def test_shots_alone_are_plain_and_those_in_company_are_not(backbone) -> None:
    board = ask(3)
    for number, (ours, alone) in latents(backbone, board).items():
        assert close(alone, plain(backbone, board, number))
        assert not close(ours, alone, 1e-3)


@pytest.mark.parametrize("changes", [{"sharing": "off", "refine": False}, {"share_from": 0, "share_until": 0, "refine": False}])
def test_where_nothing_is_shared_a_shot_is_the_one_drawn_alone(wan, changes) -> None:
    for ours, alone in latents(wan, ask(2, **changes)).values():
        assert torch.equal(ours, alone)


@pytest.mark.parametrize("segment", [nowhere, middle])
def test_own_queries_change_nothing(backbone, segment) -> None:
    """With no character to share, kept queries are the own ones; with one and all else kept, they are not the flow's either."""
    board = ask(2, keep_until=0, refine=False)
    for ours, alone in latents(backbone, board, segment).values():
        assert close(ours, alone, 1e-4) == (segment is nowhere)


def test_groups_do_not_matter(backbone) -> None:
    """But for float noise; in an untrained UNet that is enough to turn over which token is the nearest, so its queries do not flow."""
    flows = backbone.family != "animatediff"
    one, two = (latents(backbone, ask(5, together=together, dropout=0.3, flow_queries=flows)) for together in (1, 2))
    assert all(close(one[number][0], two[number][0]) for number in one)


def test_all_at_once_is_the_same(wan) -> None:
    one, all_ = (latents(wan, ask(5, together=together)) for together in (1, 5))
    assert all(close(one[number][0], all_[number][0]) for number in one)


def test_order_does_not_change_shots_that_are_no_anchors(wan) -> None:
    backbone, board = wan, ask(4)
    turned = board.model_copy(update={"shots": tuple(board.shots[at] for at in (0, 1, 3, 2))})
    before, after = latents(backbone, board), latents(backbone, turned)
    assert close(before[2][0], after[3][0]) and close(before[3][0], after[2][0])


def test_one_shot_again_is_the_same_as_in_the_whole_board(wan) -> None:
    whole, again = finished(wan, ask(4)), finished(wan, ask(4, only=(3,)))
    assert list(again) == [3] and sorted(whole) == [0, 1, 2, 3]
    assert np.array_equal(again[3].frames, whole[3].frames)


@pytest.mark.parametrize(
    "changes",
    [{"sharing": "all frames"}, {"sharing": "off"}, {"refine": False}, {"keep_queries": False}, {"flow_queries": False}, {"dropout": 0.5}],
)
def test_every_element_counts_and_can_be_left_out(wan, changes) -> None:
    whole, without = latents(wan, ask(3)), latents(wan, ask(3, **changes))
    assert not close(whole[2][0], without[2][0], 1e-4)


def test_without_guidance_and_by_attention(backbone) -> None:
    for board, segment in ((ask(3, guidance=1.0, steps=2), middle), (ask(3, masks="attention", steps=2), None)):
        found = latents(backbone, board, segment)
        assert all(torch.isfinite(ours).all() for ours, _ in found.values())


def test_three_passes_refine_by_the_finished_clips(wan) -> None:
    fused, three = finished(wan, ask(3)), finished(wan, ask(3, passes="three"))
    assert not np.array_equal(fused[2].frames, three[2].frames)
    assert np.array_equal(fused[2].alone, three[2].alone)


@pytest.mark.parametrize("masks", ["picture", "preview"])
def test_masks_and_estimates_are_on_view(wan, masks) -> None:
    board = ask(3, masks=masks)
    events = list(draw_board(wan, board, words_of(board), board.prompt, middle))
    seen = {event.name: event.array.shape for event in events if isinstance(event, Preview)}
    assert "shot 2, alone" in seen
    grid = wan.tokens(wan.initial_noise(9, 32, 32, 0)).grid
    assert {f"shot {number}" for number in (1, 2, 3)} < set(seen)
    assert seen["shot 2, character"] == grid


@pytest.mark.parametrize(("family", "passes", "stop_after"), [("wan", "fused", 20), ("wan", "three", 60)])
def test_a_board_that_was_killed_goes_on_where_it_was(request, tmp_path, monkeypatch, family, passes, stop_after) -> None:
    monkeypatch.setattr("pipelines.methods.storyboard.kept.EVERY", 0.0)
    backbone, board, steps = request.getfixturevalue(family), ask(3, passes=passes), []
    monkeypatch.setattr(Company, "step", lambda self, *args, _own=Company.step, **named: steps.append(1) or _own(self, *args, **named))
    whole, needed = finished(backbone, board), len(steps)
    events = draw_board(backbone, board, words_of(board), board.prompt, middle, Kept(tmp_path, board))
    for _, _event in zip(range(stop_after), events, strict=False):
        pass
    events.close()
    steps.clear()
    again = finished(backbone, board, kept=Kept(tmp_path, board))
    assert all(np.abs(again[number].frames.astype(int) - whole[number].frames).max() <= 1 for number in whole)
    assert len(steps) < needed
    other = ask(3, passes=passes, guidance=2.0)
    assert Kept(tmp_path, other).restore(take_all(backbone, other, words_of(other), other.prompt)) == (0, False, None)


def test_nothing_stays_behind_when_it_is_stopped(backbone) -> None:
    traces = [(name, len(module._forward_hooks), sorted(vars(module))) for name, module in backbone.transformer.named_modules()]
    own = dict(backbone.transformer.attn_processors)
    board = ask(3)
    events = draw_board(backbone, board, words_of(board), board.prompt, middle)
    for _, _event in zip(range(8), events, strict=False):
        pass
    events.close()
    assert traces == [(name, len(module._forward_hooks), sorted(vars(module))) for name, module in backbone.transformer.named_modules()]
    assert all(processor is own[name] for name, processor in backbone.transformer.attn_processors.items())
