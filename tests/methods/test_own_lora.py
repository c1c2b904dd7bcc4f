"""A LoRA of the user's own in a drawing: counts as much as asked, on either family, alone and beside a subject, and is gone afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_loras import write_lora

from pipelines.errors import UserError
from pipelines.events import Preview, Result
from pipelines.files import Files
from pipelines.methods import planner, run
from pipelines.methods.appearance_warping.request import PersonaliseRequest
from pipelines.methods.generate.request import GenerateRequest
from pipelines.methods.subject_adaptation.request import AdaptRequest
from pipelines.models.registry import entry

SIZE = {"width": 48, "height": 32}
NOTE = "The LoRA has no effect, because its strength is 0."


@pytest.fixture
def files(folder, store, tmp_path) -> Files:
    """A place with own.safetensors in it."""
    with store.use(str(folder)) as backbone:
        write_lora(backbone, tmp_path / "own.safetensors")
    return Files(tmp_path)


def ask(folder: Path, **values) -> GenerateRequest:
    settings = {"prompt": "a red ball rolls", "seed": 3, "frames": 9, "steps": 2, "lora": "own.safetensors"} | SIZE | values
    return GenerateRequest(model=str(folder), **settings)


def last(request, store, files: Files) -> Result:
    *_, result = run(request, store, files)
    assert isinstance(result, Result)
    return result


def modules(store, folder: Path) -> tuple[dict[str, int], list[str]]:
    """Identity of every module of the transformer, and what trains."""
    with store.use(str(folder)) as backbone:
        transformer = backbone.transformer
        trains = [name for name, parameter in transformer.named_parameters() if parameter.requires_grad]
        return {name: id(module) for name, module in transformer.named_modules()}, trains


def test_a_clip_with_it_is_the_one_that_diffusers_draws(folder, store, files) -> None:
    request = ask(folder, lora_strength=0.8, guidance=3.0)
    result, plain = last(request, store, files), last(ask(folder, lora="", guidance=3.0), store, files)
    assert result.request == request and result.notes == plain.notes == ()
    with store.use(str(folder)) as backbone:
        pipeline = backbone.pipeline
        pipeline.load_lora_weights(files.root, weight_name="own.safetensors", adapter_name="theirs")
        pipeline.set_adapters("theirs", 0.8)
        expected = pipeline(
            request.prompt,
            num_frames=9,
            num_inference_steps=2,
            guidance_scale=3.0,
            generator=torch.Generator("cpu").manual_seed(3),
            max_sequence_length=backbone.text_length,
            output_type="np",
            **SIZE,
        ).frames[0]
        pipeline.unload_lora_weights()
    assert np.abs(result.frames / 255 - expected).max() <= 0.5 / 255 + 1e-3
    assert np.abs(result.frames / 255 - plain.frames / 255).max() > 0.05


def test_strength_0_is_the_plain_clip_and_said(folder, store, files) -> None:
    plain, none = last(ask(folder, lora=""), store, files), last(ask(folder, lora_strength=0), store, files)
    assert np.array_equal(plain.frames, none.frames) and none.notes == (NOTE,)


@pytest.mark.parametrize("ending", ["whole", "closed", "error"])
def test_afterwards_it_is_gone(folder, store, files, ending) -> None:
    before, plain = modules(store, folder), last(ask(folder, lora=""), store, files)
    events = run(ask(folder), store, files)
    next(event for event in events if isinstance(event, Preview))
    if ending == "whole":
        list(events)
    elif ending == "closed":
        events.close()
    else:
        with pytest.raises(ZeroDivisionError):
            events.throw(ZeroDivisionError)
    assert modules(store, folder) == before
    assert np.array_equal(last(ask(folder, lora=""), store, files).frames, plain.frames)


def test_beside_a_subject_it_counts_too(folder, store, files) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(files.root / "a.png")
    values = {"model": str(folder), "name": "Rex", "class_word": "ball", "steps": 2, "rank": 4, "rate": 0.01, "images": ["a.png"]}
    list(run(AdaptRequest.read(values | {"folder": "rex"} | SIZE), store, files))
    before = modules(store, folder)
    settings = {"model": str(folder), "subject": "rex", "prompt": "a ball rolls", "seed": 3, "frames": 9, "steps": 2, **SIZE}
    request = PersonaliseRequest.read(settings)
    plain, none, half, whole = (
        last(request.model_copy(update=more), store, files)
        for more in ({}, *({"lora": "own.safetensors", "lora_strength": strength} for strength in (0.0, 0.5, 1.0)))
    )
    assert np.array_equal(plain.frames, none.frames) and none.notes == (NOTE,)
    assert not np.array_equal(plain.frames, half.frames) and not np.array_equal(half.frames, whole.frames)
    events = run(request.model_copy(update={"lora": "own.safetensors"}), store, files)
    next(event for event in events if isinstance(event, Preview))
    events.close()
    assert modules(store, folder) == before
    assert np.array_equal(last(request, store, files).frames, plain.frames)


def test_files_that_cannot_be_used_are_said_before_a_model_is_loaded(folder, store, tmp_path) -> None:
    (tmp_path / "notes.safetensors").write_text("these are notes")
    for name, words in {
        "nowhere.safetensors": r"no file called nowhere\.safetensors",
        "notes.safetensors": r"notes\.safetensors cannot be read",
        "../own.safetensors": "not one of yours",
    }.items():
        with pytest.raises(UserError, match=words):
            next(run(ask(folder, lora=name), store, Files(tmp_path)))
    assert not store.status(str(folder)).loaded


def test_one_for_another_model_is_named_and_the_model_goes_on(folder, store, files, tiny_wan_folder, tiny_cogvideox_folder) -> None:
    other = tiny_cogvideox_folder if folder == tiny_wan_folder else tiny_wan_folder
    with pytest.raises(UserError, match=r"own\.safetensors was made for another model"):
        list(run(ask(other), store, files))
    assert last(ask(other, lora=""), store, files).frames is not None


def test_plans_say_so_too(folder) -> None:
    plan = planner(ask(folder)).plan
    assert plan(ask(folder, lora_strength=0), entry(str(folder))).notes == (NOTE,)
    assert plan(ask(folder, lora="", lora_strength=0), entry(str(folder))).notes == ()


def test_finding_it_needs_no_torch(files, tiny_wan_folder) -> None:
    code = (
        "import sys, pathlib; from pipelines.backbones import open_store; from pipelines.methods import run\n"
        "from pipelines.files import Files; from pipelines.methods.generate.request import GenerateRequest\n"
        f"request = GenerateRequest(model={str(tiny_wan_folder)!r}, prompt='a ball', lora='own.safetensors')\n"
        f"next(run(request, open_store(), Files(pathlib.Path({str(files.root)!r})))); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
