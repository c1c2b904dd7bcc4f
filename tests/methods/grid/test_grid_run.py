"""Grids from their request, end to end: real files in, real models, what comes out of each cell; bad input in a sentence."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from grid_clips import noise_clip

from pipelines.errors import NotAvailable, UserError
from pipelines.events import Preview, Progress, Result
from pipelines.methods import planner, run
from pipelines.methods.grid.layout import Layout
from pipelines.methods.grid.plan import check, composed, estimate, plan, prompt_of
from pipelines.methods.grid.request import GridRequest
from pipelines.methods.grid.run import FINISHED
from pipelines.methods.grid.upsample import upsampled
from pipelines.models.registry import entry
from pipelines.video import read_excerpt, write_clip

LAYOUT = Layout(2, 2)
SMALL = {"width": 64, "height": 64, "frames": 5, "steps": 2, "seed": 3, "upscale": 1, "preview_every": 0}


@pytest.fixture
def clips(tmp_path: Path) -> list[str]:
    """Three clips of different length, size and pace."""
    sizes = ((5, 32, 32, 8), (3, 48, 64, 4), (20, 100, 40, 30))
    return [str(write_clip(tmp_path / f"{n}.png", noise_clip(t, h, w, n), fps)) for n, (t, h, w, fps) in enumerate(sizes)]


@pytest.fixture
def asked(tiny_wan_folder: Path, fill_folder: Path):
    """(cells, settings) -> a request for the tiny model: a cell is words, or a dictionary."""

    def make(*cells, **settings) -> GridRequest:
        rows = [{"text": cell} if isinstance(cell, str) else cell for cell in cells]
        values = {"model": str(tiny_wan_folder), "adapter": str(fill_folder), "cells": rows}
        return GridRequest.read(SMALL | values | settings)

    return make


def test_a_grid_is_filled_after_its_clip(asked, clips, store, loaded) -> None:
    *events, result = run(asked({"clip": clips[0]}, "rolls", "the sea", "snow", watch_every=1), store)
    assert isinstance(result, Result) and result.frames.shape == (5, 64, 64, 3)
    cells = LAYOUT.cut(result.frames, -3)
    given = read_excerpt(clips[0], fps=8, frames=5, height=32, width=32)
    backbone = loaded["wan"]
    assert np.array_equal(cells[0], backbone.decode_video(backbone.encode_video(given))), "its own round trip, to the bit"
    previews = {event.name: event for event in events if isinstance(event, Preview)}
    assert np.array_equal(previews["given"].array[:, :32, :32], given) and not previews["given"].array[:, 32:].any()
    for name, cell in zip(LAYOUT.names, cells, strict=True):
        assert np.array_equal(previews[name + FINISHED].array, cell)
    assert previews["mask"].array.shape == (1, 4, 5) and previews["leakage"].array.shape == (1, 4, 5)
    facts = result.values["cells"]
    assert [cell["given"] for cell in facts] == [True, False, False, False] and facts[1]["text"] == "rolls" and "psnr" in facts[0]
    assert result.values["leak"] == 0 and result.values["prompt"].startswith("This 2x2 grid. [TOP LEFT] [TOP RIGHT] rolls")
    assert all(before.step <= after.step for before, after in pairwise(e for e in events if isinstance(e, Progress) and e.total))


def test_the_same_request_gives_the_same_grid_and_the_clip_counts(asked, clips, store) -> None:
    words = ("rolls", "the sea", "snow")
    *_, first = run(asked({"clip": clips[0]}, *words), store)
    *_, again = run(asked({"clip": clips[0]}, *words), store)
    *_, other = run(asked({"clip": clips[2]}, *words), store)
    *_, alone = run(asked("a red ball", *words), store)
    assert np.array_equal(first.frames, again.frames)
    for one in (other, alone):
        assert not np.array_equal(LAYOUT.cut(first.frames, -3)[1], LAYOUT.cut(one.frames, -3)[1])


def test_clips_of_any_length_size_and_pace(asked, clips, store) -> None:
    *events, result = run(asked({"clip": clips[1]}, {"clip": clips[2]}, mode="compose", prompt="a red ball", upscale=3), store)
    assert result.frames.shape == (5, 64, 64, 3) and "top right" not in "".join(result.notes)
    finished = [event.array for event in events if isinstance(event, Preview) and event.name.endswith(FINISHED)]
    assert all(cell.shape == (5, 96, 96, 3) for cell in finished)
    *_, longer = run(asked({"clip": clips[1]}, "a", "b", "c", frames=9), store)
    assert any("top left is shorter" in note for note in longer.notes)


@pytest.mark.parametrize("layout", ["1x3", "2x3"])
def test_other_layouts(asked, clips, store, layout: str) -> None:
    count = Layout.read(layout).count
    cells = ["snow"] * (count - 1) + [{"clip": clips[0]}]
    *_, result = run(asked(*cells, layout=layout, width=96, height=64), store)
    assert result.frames.shape == (5, 64, 96, 3) and len(result.values["cells"]) == count


def test_sampling_uses_the_grid_lora_where_there_is_one(asked, write_fill, store, tmp_path: Path) -> None:
    folder = write_fill(tmp_path / "both")
    words = ("a", "b", "c", "snow")
    *_, filled = run(asked(*words, adapter=str(folder)), store)
    write_fill(folder, "consistent", structured=False)
    *_, sampled = run(asked(*words, adapter=str(folder), watch_every=1), store)
    assert sampled.values["leak"] > 0, "trained without a mask, it is drawn without"
    assert not np.array_equal(filled.frames, sampled.frames)
    *_, plain = run(asked(*words, strength=0.0, adapter="nothing"), store)
    assert not np.array_equal(filled.frames, plain.frames)


def test_composition_with_queries_and_concepts(asked, loaded, store, tmp_path: Path) -> None:
    import torch

    from pipelines.methods.grid.card import Card
    from pipelines.methods.grid.dynamic import fresh_concepts
    from pipelines.methods.grid.names import FILES
    from pipelines.methods.grid.queries import fresh_queries
    from pipelines.methods.grid.weights import save_concepts, save_queries

    torch.manual_seed(0)
    queries, concepts = fresh_queries(loaded["wan"], 2), fresh_concepts(loaded["wan"], 2)
    for adapter in (queries, concepts):
        for parameter in adapter.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    (tmp_path / "grid").mkdir()
    save_queries(queries, tmp_path / "grid" / FILES["composition"], Card(kind="composition"))
    save_concepts(concepts, tmp_path / "concepts.safetensors", Card(kind="dynamic"))
    words = ("a ball", "a star", "", "")
    options = {"mode": "compose", "adapter": str(tmp_path / "grid")}
    grids = [
        list(run(asked(*words, **options | more), store))[-1].frames
        for more in ({}, {"strength": 0.0}, {"concepts": str(tmp_path / "concepts.safetensors")})
    ]
    assert not np.array_equal(grids[0], grids[1]) and not np.array_equal(grids[0], grids[2])
    filled = [
        list(run(asked(*words, mode="compose", concepts=concepts), store))[-1].frames
        for concepts in ("", str(tmp_path / "concepts.safetensors"))
    ]
    assert not np.array_equal(*filled), "beside an adapter that is an ordinary LoRA they count too"


def test_closing_leaves_the_model_as_it_was(asked, clips, store, tiny_wan_folder: Path) -> None:
    request = asked({"clip": clips[0]}, "a", "b", "c", preview_every=1)
    with store.use(str(tiny_wan_folder)) as backbone:
        modules, processors = [id(module) for module in backbone.transformer.modules()], backbone.transformer.attn_processors
        events = run(request, store)
        next(event for event in events if isinstance(event, Preview) and event.name == "denoised")
        events.close()
        assert [id(module) for module in backbone.transformer.modules()] == modules
        assert backbone.transformer.attn_processors == processors
        assert not any(module._forward_hooks for module in backbone.transformer.modules())


def test_a_written_prompt_stands_for_the_words(asked, clips) -> None:
    built = prompt_of(asked({"clip": clips[0]}, "a", "b", "c", prompt="a ball", identity="Ball", mode="edit")).build()
    assert "[TOP RIGHT] [ball_identity] a" in built
    request = asked({"clip": clips[0]}, "x", written=built)
    assert prompt_of(request).build() == built
    assert any("words of the cells" in note for note in plan(request, entry(request.model)).notes)
    check(request)


def test_compositions_say_which_is_which(asked, clips) -> None:
    request = asked({"clip": clips[0], "text": "a ball"}, "", {"clip": clips[1]}, "", mode="compose")
    assert composed(request) == {1: (0, 2), 3: (0, 2)}
    assert [clause.role for clause in prompt_of(request).clauses] == ["original input", "compositional result"] * 2
    check(request)


@pytest.mark.parametrize(
    ("cells", "settings", "says"),
    [
        ([{"clip": "a"}] * 4, {}, "nothing to draw"),
        ([], {}, "grid is empty"),
        ([""] * 4, {}, "grid is empty"),
        ([{"clip": "a"}, "rain"], {}, "cell bottom left is empty"),
        ([{"clip": "a"}, "x [TOP LEFT] y", "a", "b"], {}, "brackets"),
        (["a"] * 4, {"prompt": "[x]"}, "brackets"),
        (["a"] * 5, {}, "leave out 1"),
        ([{"clip": "a"}, "b", "c", "d"], {"mode": "compose"}, "two clips, and there are 1"),
        (["a"] * 4, {"adapter": " "}, "No adapter"),
        (
            ["a"] * 3,
            {"layout": "1x3", "written": "This 2x2 grid. [TOP LEFT] [TOP RIGHT] [BOTTOM LEFT] [BOTTOM RIGHT]"},
            "the same for both",
        ),
        (["a"] * 4, {"written": "a red ball"}, "begins with"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_sentence(asked, cells, settings, says: str) -> None:
    with pytest.raises(UserError, match=says) as refused:
        check(asked(*cells, **settings))
    assert str(refused.value).endswith(".")


def test_files_that_are_missing_or_no_clips(asked, clips, store, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no clip")
    for clip, error in ((str(tmp_path / "gone.mp4"), "top left is not there"), (str(tmp_path / "text.mp4"), "text.mp4")):
        with pytest.raises(UserError, match=error):
            list(run(asked({"clip": clip}, "a", "b", "c"), store))
    with pytest.raises(NotAvailable, match="no adapter"):
        list(run(asked({"clip": clips[0]}, "a", "b", "c", adapter="nowhere"), store))


def test_models_of_other_families_and_of_other_adapters_are_refused(asked, tiny_cogvideox_folder: Path, tiny_wan_folder: Path) -> None:
    with pytest.raises(UserError, match="Wan family"):
        plan(asked("a"), entry(str(tiny_cogvideox_folder)))
    with pytest.raises(UserError, match="made for playground-wan"):
        plan(asked("a", adapter="playground-grid"), entry(str(tiny_wan_folder)))


def test_sizes_are_snapped_so_that_cells_lie_on_the_lattice(asked) -> None:
    request = asked(*"abcd", width=130, height=150, frames=6)
    planned = plan(request, entry("playground-wan")) if request.adapter == "playground-grid" else plan(request, entry(request.model))
    assert (planned.request.width, planned.request.height, planned.request.frames) == (128, 144, 5)
    assert len(planned.notes) == 3 and "each cell has 64 px" in planned.notes[0]
    assert planner(request).estimate is estimate and estimate(planned.request, entry(request.model), True).seconds > 0


def test_cells_are_enlarged_by_lanczos() -> None:
    flat = np.full((2, 8, 6, 3), 77, np.uint8)
    assert upsampled(flat, 3, "lanczos").shape == (2, 24, 18, 3) and (upsampled(flat, 3, "lanczos") == 77).all()
    assert upsampled(flat, 1, "lanczos") is flat


def test_requests_survive_their_journey(asked, clips) -> None:
    request = asked({"clip": clips[0], "start": 0.5}, "a", "b", "c", mode="compose", noise_scale=0.95)
    assert GridRequest.from_json(request.to_json()) == request
