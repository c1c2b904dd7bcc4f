"""Clips of a subject from a request, on both families; the model and the subject are as they were afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.errors import UserError
from pipelines.events import Preview, Progress, Result
from pipelines.files import Files
from pipelines.methods import planner, run
from pipelines.methods.appearance_warping.request import PersonaliseRequest
from pipelines.methods.subject_adaptation.request import AdaptRequest
from pipelines.methods.subject_adaptation.subject import ADAPTER, CARD, TOKEN
from pipelines.models.registry import entry


@pytest.fixture
def files(folder, store, tmp_path) -> Files:
    """A place with the subject "rex" in it."""
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    values = {
        "name": "Rex",
        "class_word": "ball",
        "steps": 2,
        "rank": 4,
        "rate": 0.01,
        "images": ["a.png"],
        "folder": "rex",
        "width": 48,
        "height": 32,
    }
    list(run(AdaptRequest.read({"model": str(folder)} | values), store, Files(tmp_path)))
    return Files(tmp_path)


def ask(folder: Path, **values) -> PersonaliseRequest:
    settings = {"subject": "rex", "prompt": "a ball rolls", "seed": 3, "width": 48, "height": 32, "frames": 9, "steps": 4}
    return PersonaliseRequest.read({"model": str(folder)} | settings | values)


def last(request: PersonaliseRequest, store, files: Files) -> Result:
    *_, result = run(request, store, files)
    assert isinstance(result, Result)
    return result


def inversions(request: PersonaliseRequest, store, files: Files) -> tuple[int, np.ndarray]:
    """How many steps of inversion a run makes, and its clip."""
    *events, result = run(request, store, files)
    return sum(isinstance(event, Progress) and event.phase == "inverting the reference" for event in events), result.frames


def test_a_reference_is_inverted_once_for_the_same_weights(store, files, tmp_path, folder) -> None:
    first, drawn = inversions(ask(folder, injection="warp-unmasked"), store, files)
    again, same = inversions(ask(folder, injection="warp-unmasked"), store, files)
    assert first > 0 and again == 0 and np.array_equal(drawn, same)
    assert inversions(ask(folder, injection="warp-unmasked", prompt="a ball spins"), store, files)[0] == 0
    for other in ({"steps": 3}, {"matching_layer": 0.9}, {"injection": "concat"}, {"reference_frames": "1"}, {"inversion": "every level"}):
        assert inversions(ask(folder, **{"injection": "warp-unmasked"} | other), store, files)[0] > 0
    (tmp_path / "rex" / ADAPTER).write_bytes((tmp_path / "rex" / ADAPTER).read_bytes())  # as a further training would
    assert inversions(ask(folder, injection="warp-unmasked"), store, files)[0] == first


def test_what_is_injected_changes_the_clip_and_is_on_view(folder, store, files) -> None:
    off, warp, unmasked = (last(ask(folder, injection=name), store, files) for name in ("off", "warp", "warp-unmasked"))
    assert off.frames.shape == (9, 32, 48, 3) and off.values["prompt"] == "a <rex> ball rolls"
    assert not np.array_equal(off.frames, unmasked.frames)
    assert np.array_equal(unmasked.frames, last(ask(folder, injection="warp-unmasked"), store, files).frames)
    names = {event.name for event in run(ask(folder), store, files) if isinstance(event, Preview)}
    assert {"denoised", "correspondence", "flow to the reference", "foreground mask", "cycle mask", "injection mask"} <= names
    assert warp.request == ask(folder)


@pytest.mark.parametrize("way", ["key-value", "concat"])
@pytest.mark.parametrize("frames", ["match", "1"])
def test_the_ways_it_is_compared_with_change_the_clip_too(folder, store, files, way, frames) -> None:
    off, changed = (
        last(ask(folder, injection=name, reference_frames=frames, foreground=0.1, cycle=5), store, files) for name in ("off", way)
    )
    assert not np.array_equal(off.frames, changed.frames)


def test_keys_are_replaced_nowhere_without_a_foreground(folder, store, files) -> None:
    off, same = (last(ask(folder, injection=name, foreground=1.0), store, files) for name in ("off", "key-value"))
    assert np.abs(off.frames.astype(int) - same.frames).max() <= 1, "plain attention, through another processor"


def test_without_injection_and_with_another_seed(folder, store, files) -> None:
    first, second = (last(ask(folder, injection="off", seed=seed), store, files) for seed in (3, 4))
    assert not np.array_equal(first.frames, second.frames)


@pytest.mark.parametrize("ending", ["stop", "error"])
def test_afterwards_the_model_is_as_it_was(folder, store, files, ending, monkeypatch) -> None:
    with store.use(str(folder)) as backbone:
        before = {name: value.clone() for name, value in backbone.transformer.state_dict().items()}
        hooks = {name: (id(module), len(module._forward_hooks)) for name, module in backbone.transformer.named_modules()}
        table = backbone.pipeline.text_encoder.get_input_embeddings().weight.clone()
        tokenizer = backbone.pipeline.tokenizer
    events = run(ask(folder), store, files)
    next(event for event in events if getattr(event, "name", "") == "denoised")
    if ending == "stop":
        events.close()
    else:
        with pytest.raises(ZeroDivisionError):
            events.throw(ZeroDivisionError)
    with store.use(str(folder)) as backbone:
        after = backbone.transformer.state_dict()
        assert before.keys() == after.keys() and all(torch.equal(value, after[name]) for name, value in before.items())
        assert {name: (id(module), len(module._forward_hooks)) for name, module in backbone.transformer.named_modules()} == hooks
        assert torch.equal(backbone.pipeline.text_encoder.get_input_embeddings().weight, table)
        assert backbone.pipeline.tokenizer is tokenizer


def test_what_cannot_be_done_is_said_in_a_sentence(folder, store, files) -> None:
    cases = [
        ({"subject": ""}, "No subject is chosen"),
        ({"subject": "max"}, "no subject in max"),
        ({"subject": "../rex"}, "not one of yours"),
        ({"prompt": "a cube rolls"}, "write <rex> ball where it should appear"),
        ({"reference": 5}, "has 1 pictures"),
        ({"first_step": 0.5, "last_step": 0.2}, "first step of the injection comes after"),
        ({"first_layer": 0.9}, "first layer of the injection comes after"),
        ({"prompt": ""}, "prompt is empty"),
    ]
    for values, words in cases:
        with pytest.raises(UserError, match=words):
            list(run(ask(folder, **values), store, files))


@pytest.mark.parametrize("broken", [CARD, ADAPTER, TOKEN])
def test_a_damaged_subject_is_named_and_the_model_goes_on(folder, store, files, broken) -> None:
    whole = files.find("rex")
    shutil.copytree(whole, whole.with_name("hurt"))
    (whole.with_name("hurt") / broken).write_bytes((whole / broken).read_bytes()[:40])
    with pytest.raises(UserError, match=r"damaged|cannot be read as safetensors"):
        list(run(ask(folder, subject="hurt"), store, files))
    assert last(ask(folder), store, files).frames is not None


def test_a_subject_of_another_model_is_refused(folder, store, files, tiny_wan_folder, tiny_cogvideox_folder) -> None:
    other = tiny_cogvideox_folder if folder == tiny_wan_folder else tiny_wan_folder
    with pytest.raises(UserError, match="does not fit"):
        list(run(ask(other), store, files))


def test_injection_is_in_the_estimate_and_requests_travel(folder) -> None:
    model, whole = entry(str(folder)), ask(folder)
    off, one = (ask(folder, **values) for values in ({"injection": "off"}, {"reference_frames": "1"}))
    seconds = [planner(request).estimate(request, model, True).seconds for request in (off, one, whole)]
    assert (seconds == sorted(seconds) and seconds[0] < seconds[2]) or model.parameters < 1e6
    assert PersonaliseRequest.from_json(whole.to_json()) == whole


def test_the_inversion_says_how_far_it_is(folder, store, files) -> None:
    events = [event for event in run(ask(folder), store, files) if isinstance(event, Progress) and event.step]
    phases = [(event.phase, event.step) for event in events]
    inverting = [event for event in events if event.phase == "inverting the reference"]
    assert [event.step for event in inverting] == [*range(1, inverting[-1].total + 1)] and ("denoising", 4) in phases
    assert all(event.seconds_left > 0 for event in events[:-1])


def test_a_long_prompt_is_said_to_be_cut_and_memory_is_told(folder, store, files) -> None:
    result = last(ask(folder, prompt="a ball " + "x y " * 450, injection="off"), store, files)
    assert any("prompt is long" in note for note in result.notes) and result.values["peak_bytes"] > 1e6
