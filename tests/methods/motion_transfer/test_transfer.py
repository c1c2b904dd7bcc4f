"""Motion by Queries on every family: its laws, how often the source is looked at, and that nothing is left behind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pipelines.attention.edits import CONDITIONAL, recording, replacing
from pipelines.attention.moments import moments, restating
from pipelines.events import Preview, Progress
from pipelines.methods.motion_transfer.queries import Source, Transfer, injecting, nearest_step
from pipelines.methods.motion_transfer.request import MotionRequest
from pipelines.methods.motion_transfer.transfer import Drawn, transfer

FRAMES, HEIGHT, WIDTH, STEPS = 9, 32, 64, 4


@pytest.fixture(params=["wan", "cogvideox", "ltx", "animatediff"])
def backbone(request: pytest.FixtureRequest):
    """Each family in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def clean(backbone) -> Tensor:
    """Latents of a source."""
    return backbone.initial_noise(FRAMES, HEIGHT, WIDTH, 11) * 0.5


def ask(**values) -> MotionRequest:
    settings = {"prompt": "a ball", "source": "a.mp4", "frames": FRAMES, "height": HEIGHT, "width": WIDTH, "steps": STEPS, "seed": 3}
    return MotionRequest.read(settings | {"strength": 0.5} | values)


def draw(backbone, clean: Tensor, **values) -> Tensor:
    *_, drawn = transfer(backbone, ask(**values), clean)
    assert isinstance(drawn, Drawn)
    return drawn.latents


@torch.no_grad()
def plain(backbone, guidance: float = 4.0) -> Tensor:
    request = ask(guidance=guidance)
    text, empty = backbone.encode_text([request.prompt, ""]).chunk(2)
    latents = backbone.initial_noise(FRAMES, HEIGHT, WIDTH, request.seed)
    schedule = backbone.schedule(STEPS, latents, request.seed)
    for index, timestep in enumerate(schedule.timesteps):
        latents = schedule.step(backbone.guided(latents, timestep, text, empty, guidance), index, latents)
    return latents


class Calls:
    """Counts forward passes of the denoiser, and how many of its layers each of them reached."""

    def __init__(self, backbone) -> None:
        self.rows: list[int] = []
        self.reached: list[int] = []
        self.before = backbone.denoise
        backbone.denoise = self._denoise
        for block in backbone.blocks():
            block.query.register_forward_hook(self._reach)

    def _denoise(self, latents: Tensor, *rest) -> Tensor:
        self.rows.append(len(latents))
        self.reached.append(0)
        return self.before(latents, *rest)

    def _reach(self, *_) -> None:
        self.reached[-1] += 1


def test_strength_0_and_dropout_1_are_plain_generation_bit_for_bit(backbone, clean: Tensor) -> None:
    expected = plain(backbone)
    assert torch.equal(draw(backbone, clean, strength=0), expected)
    assert torch.equal(draw(backbone, clean, strength=0, match_values=True, clean_up=True), expected)
    assert torch.equal(draw(backbone, clean, dropout=1), expected)
    assert not torch.allclose(draw(backbone, clean), expected, atol=1e-4)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
@torch.no_grad()
def test_a_runs_own_queries_reproduce_it(backbone, guidance: float) -> None:
    """Recorded in the conditional half of each step and put back there: nothing changes."""
    request, blocks = ask(), backbone.blocks()
    text, empty = backbone.encode_text([request.prompt, ""]).chunk(2)
    start = backbone.initial_noise(FRAMES, HEIGHT, WIDTH, request.seed)
    layout, own, rows = backbone.tokens(start), {}, 2 if guidance > 1 else 1

    def run(around) -> Tensor:
        latents, schedule = start, backbone.schedule(STEPS, start, request.seed)
        for index, timestep in enumerate(schedule.timesteps):
            prediction = around(index, lambda x=latents, t=timestep: backbone.guided(x, t, text, empty, guidance))
            latents = schedule.step(prediction, index, latents)
        return latents

    with recording(blocks, "query", layout) as record:

        def keep(index: int, forward) -> Tensor:
            prediction = forward()
            own[index] = {layer: record.latest(layer) for layer in record.layers}
            return prediction

        expected = run(keep)
    with replacing(blocks, "query", layout, rows=rows) as queries:

        def put(index: int, forward) -> Tensor:
            for layer, query in own[index].items():
                queries.write(layer, query, 1.0, CONDITIONAL)
            return forward()

        assert torch.allclose(run(put), expected, atol=1e-5)


def test_the_source_is_looked_at_once_or_once_per_step_and_no_further_than_needed(backbone, clean: Tensor) -> None:
    depth = len(backbone.blocks())
    for recorded, extra in (("one level", 1), ("every level", 2)):
        calls = Calls(backbone)
        draw(backbone, clean, recorded=recorded, first_layer=0, last_layer=0)
        looks = [reached for rows, reached in zip(calls.rows, calls.reached, strict=True) if rows == 1]
        assert calls.rows.count(2) == STEPS and len(looks) == extra
        assert set(looks) == {1} and set(calls.reached) == {1, depth}
        backbone.denoise = calls.before


def test_only_the_conditional_half_is_changed(backbone, clean: Tensor) -> None:
    """What the unconditional half predicts is what it would predict without."""
    request = ask()
    text, empty = backbone.encode_text([request.prompt, ""]).chunk(2)
    latents = backbone.initial_noise(FRAMES, HEIGHT, WIDTH, 3)
    schedule, noise = backbone.schedule(STEPS, latents, 3), backbone.initial_noise(FRAMES, HEIGHT, WIDTH, 5)
    wanted = Transfer(layers=range(len(backbone.blocks())), steps=[0], at=2, match_values=True)
    both = (torch.cat([latents, latents]), schedule.timesteps[0], torch.cat([empty, text]))
    with torch.no_grad():
        before = backbone.denoise(*both)
        with injecting(backbone, Source(clean, noise, empty), schedule, wanted, rows=2) as injection:
            injection.before(0)
            after = backbone.denoise(*both)
            injection.before(1)
            assert torch.equal(backbone.denoise(*both), before)
        assert torch.equal(backbone.denoise(*both), before)
    assert torch.allclose(before[0], after[0], atol=1e-6) and not torch.allclose(before[1], after[1], atol=1e-4)


@pytest.mark.parametrize("ending", ["end", "closed", "error"])
def test_afterwards_no_hook_and_no_buffer_is_left(backbone, clean: Tensor, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def state() -> dict:
        parts = backbone.transformer.named_modules()
        return {name: (list(part._forward_hooks), list(part._buffers), list(vars(part))) for name, part in parts}

    before = state()
    events = transfer(backbone, ask(match_values=True, recorded="every level", clean_up=True), clean)
    if ending == "closed":
        next(event for event in events if isinstance(event, Preview))
        events.close()
    elif ending == "error":
        monkeypatch.setattr(backbone, "preview", lambda latents: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(events)
    else:
        list(events)
    assert state() == before


def test_values_get_the_moments_of_the_source_where_video_is(backbone, clean: Tensor) -> None:
    latents, blocks = backbone.initial_noise(FRAMES, HEIGHT, WIDTH, 0), backbone.blocks()
    layout, text = backbone.tokens(latents), backbone.encode_text(["", "a ball"])
    other = {block.index: torch.randn(1, block.length("value", layout), block.width("value")) * 3 + 1 for block in blocks}
    both = (torch.cat([latents, latents]), torch.tensor(500), text)
    with torch.no_grad(), recording(blocks, "value", layout, rows=2) as before:
        backbone.denoise(*both)
        plain = {layer: before.latest(layer) for layer in before.layers}
        with restating(blocks, "value", layout, layers=[0]) as values, recording(blocks, "value", layout, rows=2) as after:
            values.set(0, other[0])
            backbone.denoise(*both)
            assert torch.equal(after.latest(0), plain[0]), "not before it is switched on"
            values.switch(True)
            backbone.denoise(*both)
            now = after.latest(0)
    start = now.shape[1] - blocks[0].tokens(layout).video
    assert torch.allclose(moments(now[1:, start:]), moments(other[0]), atol=1e-2)
    assert torch.equal(now[:1], plain[0][:1]) and torch.equal(now[1:, :start], plain[0][1:, :start])


def test_every_setting_counts(backbone, clean: Tensor) -> None:
    settings = (
        {"recorded": "every level"}, {"level": 900}, {"dropout": 0.5}, {"same_noise": True}, {"match_values": True}, {"clean_up": True},
        {"last_layer": 0.25, "first_layer": 0}, {"strength": 0.25}, {"source_prompt": "a red ball"},
    )  # fmt: skip
    drawn = draw(backbone, clean)
    assert torch.equal(draw(backbone, clean), drawn)
    for changed in settings:
        assert not torch.equal(draw(backbone, clean, **changed), drawn), changed


def test_steps_are_told_as_they_are_made(backbone, clean: Tensor) -> None:
    *events, _ = transfer(backbone, ask(), clean)
    assert [event.step for event in events if isinstance(event, Progress)] == list(range(STEPS + 1))
    assert sum(isinstance(event, Preview) and event.name == "denoised" for event in events) == STEPS


def test_the_nearest_step() -> None:
    assert nearest_step([1000.0, 600.0, 150.0], 100) == 2 and nearest_step([1000.0, 600.0, 150.0], 790) == 1
