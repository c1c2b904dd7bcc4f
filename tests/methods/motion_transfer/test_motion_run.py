"""Motion transfer from a request, end to end: what is shown, what is refused, and that it is plain generation at strength 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.events import Preview, Progress, Result
from pipelines.files import Files
from pipelines.methods import planner, run
from pipelines.methods.generate.request import GenerateRequest
from pipelines.methods.motion_transfer.request import MotionRequest
from pipelines.models.registry import entry
from pipelines.video import write_clip


def square(frames: int, size: int = 48, step: int = 3) -> np.ndarray:
    """(T, size, size, 3) uint8: a bright square goes to the right."""
    clip = np.full((frames, size, size, 3), 40, np.uint8)
    for time in range(frames):
        clip[time, 16:28, 4 + step * time : 16 + step * time] = (230, 120, 20)
    return clip


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A place with the clip "a.mp4" in it."""
    write_clip(tmp_path / "a.mp4", square(9), 8)
    return Files(tmp_path)


def ask(folder: Path, **values) -> MotionRequest:
    settings = {"source": "a.mp4", "prompt": "a ball", "seed": 3, "width": 48, "height": 32, "frames": 9, "fps": 8, "steps": 4}
    return MotionRequest.read({"model": str(folder)} | settings | values)


def last(request, store, files: Files) -> Result:
    *_, result = run(request, store, files)
    assert isinstance(result, Result)
    return result


def test_strength_0_is_the_clip_that_plain_generation_draws(folder, store, files) -> None:
    request = ask(folder, strength=0)
    plain = {name: value for name, value in request.model_dump().items() if name in GenerateRequest.model_fields}
    assert np.array_equal(last(request, store, files).frames, last(GenerateRequest.read(plain), store, files).frames)
    assert not np.array_equal(last(ask(folder), store, files).frames, last(request, store, files).frames)


def test_source_and_result_are_on_view_with_their_motion(folder, store, files) -> None:
    events = list(run(ask(folder), store, files))
    shown = {event.name: event.array for event in events if isinstance(event, Preview)}
    assert {"source", "denoised", "motion of the source", "motion of the result"} <= set(shown)
    assert shown["source"].shape == (9, 32, 48, 3) and shown["y-t slice of the source"].shape == (1, 32, 9, 3)
    assert shown["motion of the source"].dtype == np.uint8 and min(shown["motion of the source"].shape[1:3]) >= 256
    assert any(isinstance(event, Progress) and event.phase == "reading the source" for event in events)
    result = events[-1]
    assert result.frames.shape == (9, 32, 48, 3) and result.values["looks"] == 1
    assert -1 <= result.values["identity_leak"] <= 1 and result.values["encoder"] == "playground-judge"
    assert result.values["motion_fidelity"] is None or -1 <= result.values["motion_fidelity"] <= 1


def test_the_same_request_gives_the_same_clip(folder, store, files) -> None:
    request = ask(folder, dropout=0.3)
    assert np.array_equal(last(request, store, files).frames, last(request, store, files).frames)


def test_part_and_crop_of_the_source_count(folder, store, files) -> None:
    def source(**values) -> np.ndarray:
        return next(e.array for e in run(ask(folder, **values), store, files) if isinstance(e, Preview) and e.name == "source")

    whole = source()
    assert not np.array_equal(source(start=0.5), whole) and not np.array_equal(source(crop="0,0,0.5,0.5"), whole)
    held = source(end=0.25)
    assert np.array_equal(held[2:], held[2:3].repeat(7, 0)), "the last picture of the part is held"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"source": ""}, "No source clip"),
        ({"source": "gone.mp4"}, "not there any more"),
        ({"source": "../a.mp4"}, "not one of yours"),
        ({"source": "text.mp4"}, "text.mp4"),
        ({"prompt": " "}, "prompt is empty"),
        ({"first_layer": 0.9, "last_layer": 0.1}, "first layer"),
        ({"start": 2, "end": 1}, "ends before it begins"),
        ({"start": 60}, "a.mp4"),
        ({"crop": "1,2"}, "four shares"),
        ({"crop": "0.5,0,0.8,1"}, "leaves the picture"),
        ({"crop": "nan,0,1,1"}, "leaves the picture"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence_before_anything_is_loaded(folder, store, files, values, words) -> None:
    (files.root / "text.mp4").write_text("no clip at all")
    with pytest.raises(UserError, match=words) as told:
        list(run(ask(folder, **values), store, files))
    assert "\n" not in str(told.value)


def test_what_has_no_effect_is_noted_and_looking_at_the_source_is_estimated(folder, tmp_path) -> None:
    model = entry(str(folder))
    planning = planner(ask(folder))
    assert any("strength is 0" in note for note in planning.plan(ask(folder, strength=0), model).notes)
    assert any("dropped" in note for note in planning.plan(ask(folder, dropout=1), model).notes)
    once, often, never = (
        planning.estimate(ask(folder, frames=33, width=192, height=192, steps=100, **values), model, True).seconds
        for values in ({}, {"recorded": "every level"}, {"strength": 0})
    )
    assert often > once >= never
