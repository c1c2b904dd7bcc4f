"""Training from a request: events, going on, one's own data, and everything that is refused."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import UserError
from pipelines.events import Preview, Progress, Result
from pipelines.files import Files
from pipelines.methods.subject_training import recorded, world
from pipelines.methods.subject_training.request import PRESETS, TrainSubjectsRequest
from pipelines.methods.subject_training.run import recipe_of, run
from pipelines.methods.subject_training.train import ADAPTER, CHECKPOINT, RECORD
from pipelines.methods.zero_shot_subject.request import SubjectRequest
from pipelines.methods.zero_shot_subject.run import run as draw
from pipelines.methods.zero_shot_subject.weights import look
from pipelines.requests import Request
from pipelines.video import write_clip

FEW = {"images": 2, "clips_in_step": 1, "images_at_once": 2, "clips_at_once": 1, "monitor_every": 2, "rank": 4, "p": 0.5}


@pytest.fixture
def data(tmp_path: Path) -> dict[str, str]:
    """Folders of two subjects and two clips, and files that are none."""
    for subject in ("ball", "cube"):
        (tmp_path / "pairs" / subject).mkdir(parents=True)
        for number in range(2):
            pixels = np.random.default_rng(number).integers(0, 255, (64, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pairs" / subject / f"{number}.png")
    (tmp_path / "pairs" / "lonely").mkdir()
    (tmp_path / "clips").mkdir()
    for number in range(2):
        clip = np.random.default_rng(number).integers(0, 255, (9, 32, 48, 3), dtype=np.uint8)
        write_clip(tmp_path / "clips" / f"{number}.mp4", clip, 8)
        (tmp_path / "clips" / f"{number}.txt").write_text("a red ball rolls")
    (tmp_path / "clips" / "bad.mp4").write_text("no clip")
    (tmp_path / "clips" / "bad.txt").write_text("words")
    return {"pairs": "pairs", "clips": "clips"}


def ask(model: Path, **values) -> TrainSubjectsRequest:
    settings = {"model": str(model), "folder": "out", "steps": 4, "width": 48, "height": 32, "frames": 5}
    return TrainSubjectsRequest.read(settings | FEW | values)


def test_an_adapter_comes_out_and_draws(tiny_cogvideox_folder, store, data, tmp_path: Path) -> None:
    events = list(run(ask(tiny_cogvideox_folder, sample_every=4, **data), store, Files(tmp_path)))
    assert isinstance(events[0], Progress) and isinstance(result := events[-1], Result)
    assert {"loss", "phi", "norm images", "norm clips", "sample"} <= {event.name for event in events if isinstance(event, Preview)}
    assert result.frames is None and result.values["loss"] > 0
    assert any("latent frames" in note for note in result.notes) and any("fewer than two" in note for note in result.notes)
    assert {file.name for file in (tmp_path / "out").iterdir()} == {ADAPTER, CHECKPOINT, RECORD}
    assert look(tmp_path / "out").card.recipe["steps"] == 4
    values = {"model": str(tiny_cogvideox_folder), "adapter": "out", "image": "pairs/ball/0.png", "class_word": "ball"}
    sizes = {"prompt": "a red ball spins", "width": 48, "height": 32, "frames": 9, "steps": 2, "seed": 0}
    *_, drawn = draw(SubjectRequest.read(values | sizes), store, Files(tmp_path))
    assert drawn.frames.shape == (9, 32, 48, 3)


def test_stopped_and_asked_again_it_goes_on(tiny_cogvideox_folder, store, data, tmp_path: Path) -> None:
    request = ask(tiny_cogvideox_folder, keep_latents=True, **data)
    with closing(run(request, store, Files(tmp_path))) as events:
        for event in events:
            if isinstance(event, Progress) and event.phase == "training" and event.step == 2:
                break
    steps = [event.step for event in run(request, store, Files(tmp_path)) if isinstance(event, Progress) and event.phase == "training"]
    assert steps == [2, 3, 4]
    with pytest.raises(UserError, match="made otherwise"):
        list(run(ask(tiny_cogvideox_folder, **data | {"seed": 5}), store, Files(tmp_path)))
    (tmp_path / "out" / "novel.txt").write_text("mine")
    with pytest.raises(UserError, match="something else"):
        list(run(request, store, Files(tmp_path)))


def test_drawn_toys(tiny_cogvideox_folder, store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "HELD_OUT", 8)
    monkeypatch.setattr(world, "FRAMES", 5)
    monkeypatch.setattr(world, "_side", lambda draw: 32)
    events = list(run(ask(tiny_cogvideox_folder, drawn=32, drawn_clips=32), store, Files(tmp_path)))
    phases = [event.phase for event in events if isinstance(event, Progress)]
    assert phases.index("drawing toys") < phases.index("drawing clips") < phases.index("training") and isinstance(events[-1], Result)


@pytest.mark.parametrize("where", ["pairs", "clips"])
def test_without_data_there_is_a_sentence(tiny_cogvideox_folder, store, data, tmp_path: Path, where: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="nothing to learn"):
        list(run(ask(tiny_cogvideox_folder, **data | {where: "empty"}), store, Files(tmp_path)))
    with pytest.raises(UserError, match="no folder"):
        list(run(ask(tiny_cogvideox_folder, **data | {where: "nowhere"}), store, Files(tmp_path)))


def test_other_families_are_refused(tiny_wan_folder, store, data, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="CogVideoX"):
        list(run(ask(tiny_wan_folder, **data), store, Files(tmp_path)))


def test_a_request_is_the_recipe_and_travels() -> None:
    request = TrainSubjectsRequest.read({"folder": "a", "preset": "paper"})
    recipe = recipe_of(request)
    assert (recipe.images, recipe.clips, recipe.images_at_once, recipe.clips_at_once) == (256, 32, 8, 1)
    assert (recipe.budget.steps, recipe.warm_steps, recipe.p, recipe.dropout) == (4000, 200, 0.2, 0.1) and recipe.betas == (0.9, 0.95)
    assert recipe_of(TrainSubjectsRequest.read({"folder": "a", "baseline": "image-only"})).p == 0
    assert recipe_of(TrainSubjectsRequest.read({"folder": "a", "minutes": 2})).budget.steps is None
    assert Request.from_json(request.to_json()) == request and set(PRESETS) == {"quick", "standard", "paper"}
    rows = TrainSubjectsRequest.settings()
    assert all(row["label"] and row["help"] for row in rows.values()) and rows["baseline"]["choices"][0] == "dual-task"
