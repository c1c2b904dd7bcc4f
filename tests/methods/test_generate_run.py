"""Generating end to end on tiny models of both families."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.errors import UserError
from pipelines.events import Preview, Progress, Result
from pipelines.methods import run
from pipelines.methods.generate import cost
from pipelines.methods.generate.plan import estimate
from pipelines.methods.generate.request import GenerateRequest
from pipelines.models import registry
from pipelines.models.registry import entry


def ask(folder: Path, **values) -> GenerateRequest:
    settings = {"prompt": "a red ball rolls", "seed": 3, "width": 48, "height": 32, "frames": 9, "steps": 4} | values
    return GenerateRequest(model=str(folder), **settings)


def weights(store, folder: Path) -> dict[str, torch.Tensor]:
    with store.use(str(folder)) as backbone:
        return {name: tensor.clone() for name, tensor in backbone.transformer.state_dict().items()}


def test_events_come_in_order(folder, store):
    events = list(run(ask(folder), store))
    assert isinstance(events[0], Progress) and isinstance(events[-1], Result)
    previews = [event for event in events if isinstance(event, Preview)]
    assert [preview.step for preview in previews] == [0, 1, 2, 3]
    assert all(preview.array.shape == (3, 8, 12, 3) and preview.array.dtype == np.uint8 for preview in previews)
    steps = [event for event in events if isinstance(event, Progress) and event.phase == "denoising" and event.step]
    assert [(event.step, event.total) for event in steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert all(event.seconds_left > 0 for event in steps)
    result = events[-1]
    assert result.frames.shape == (9, 32, 48, 3) and result.frames.dtype == np.uint8
    assert result.values["seconds"] > 0 and result.values["peak_bytes"] > 1e6


def test_twice_the_same_request_gives_identical_frames(folder, store):
    first, second, other = (list(run(ask(folder, seed=seed), store))[-1] for seed in (3, 3, 4))
    assert np.array_equal(first.frames, second.frames)
    assert not np.array_equal(first.frames, other.frames)


def test_a_drawn_seed_is_told_and_can_be_used_again(folder, store):
    first = list(run(ask(folder, seed=-1), store))[-1]
    assert first.request.seed >= 0
    again = list(run(first.request, store))[-1]
    assert np.array_equal(first.frames, again.frames)


def test_the_frames_are_the_pipelines(folder, store):
    request = ask(folder, guidance=3.0, negative_prompt="snow")
    frames = list(run(request, store))[-1].frames
    with store.use(str(folder)) as backbone:
        expected = backbone.pipeline(
            request.prompt,
            request.negative_prompt,
            height=32,
            width=48,
            num_frames=9,
            num_inference_steps=4,
            guidance_scale=3.0,
            generator=torch.Generator("cpu").manual_seed(3),
            max_sequence_length=backbone.text_length,
            output_type="np",
        ).frames[0]
    assert np.abs(frames / 255 - expected).max() <= 0.5 / 255 + 1e-3


def test_closing_cancels_at_once_and_leaves_the_model_as_it_was(folder, store):
    before, whole = weights(store, folder), list(run(ask(folder), store))[-1]
    for stop_after in range(1, 8):
        running = run(ask(folder), store)
        for _ in range(stop_after):
            next(running)
        running.close()
        assert torch.is_grad_enabled()
    store.evict(str(folder))  # raises if it were still in use
    after = weights(store, folder)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert np.array_equal(list(run(ask(folder), store))[-1].frames, whole.frames)


def test_an_abandoned_run_does_not_disturb_another(folder, store):
    whole = list(run(ask(folder), store))[-1]
    abandoned = run(ask(folder, seed=9), store)
    while not isinstance(next(abandoned), Preview):
        pass
    assert np.array_equal(list(run(ask(folder), store))[-1].frames, whole.frames)


def test_sizes_are_snapped_with_notes(folder, store):
    result = list(run(ask(folder, width=50, frames=10), store))[-1]
    assert result.frames.shape == (9, 32, 48, 3) and (result.request.width, result.request.frames) == (48, 9)
    assert len(result.notes) == 2


def test_what_the_model_did_not_read_is_noted(folder, store):
    result = list(run(ask(folder, prompt="ball " * 40, steps=1), store))[-1]
    assert any("first 16 tokens" in note for note in result.notes)


def test_previews_turn_from_false_to_true_colours(folder, store):
    with store.use(str(folder)) as backbone:
        assert not backbone.has_colours
    list(run(ask(folder), store))
    with store.use(str(folder)) as backbone:
        assert backbone.has_colours
    assert len(list((store.home / "previews").glob("*.json"))) == 1


def test_estimates_learn_from_runs(tiny_wan_folder, store, monkeypatch):
    monkeypatch.setattr(cost, "_measured", {})
    request, model = ask(tiny_wan_folder), entry(str(tiny_wan_folder))
    result = list(run(request, store))[-1]
    monkeypatch.setattr(cost, "has_card", lambda: False)
    assert estimate(request, model, True).seconds == pytest.approx(result.values["seconds"], rel=0.8, abs=1)


@pytest.mark.parametrize("extreme", [{"steps": 1}, {"frames": 1}, {"guidance": 1.0}, {"steps": 7, "guidance": 30.0}])
def test_extreme_settings_work(folder, store, extreme):
    frames = list(run(ask(folder, **extreme), store))[-1].frames
    assert frames.shape[0] == extreme.get("frames", 9)


def test_the_first_event_needs_no_torch(tiny_wan_folder):
    code = (
        "import sys; from pipelines.backbones import open_store; from pipelines.methods import run\n"
        "from pipelines.methods.generate.request import GenerateRequest\n"
        f"next(run(GenerateRequest(model={str(tiny_wan_folder)!r}, prompt='a ball'), open_store())); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("prompt", ["", "   "])
def test_an_empty_prompt_is_refused_before_anything_is_loaded(tmp_path, store, prompt):
    with pytest.raises(UserError, match="prompt is empty"):
        next(run(ask(tmp_path / "nowhere", prompt=prompt), store))


def test_a_missing_folder_is_one_sentence(tmp_path, store):
    with pytest.raises(UserError, match="nowhere"):
        list(run(ask(tmp_path / "nowhere"), store))


def test_truncated_weights_are_named(tiny_wan_folder, tmp_path, store):
    folder = shutil.copytree(tiny_wan_folder, tmp_path / "cut")
    path = next((folder / "vae").glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=path.name) as caught:
        list(run(ask(folder), store))
    assert str(caught.value).count(". ") == 0 and "\n" not in str(caught.value)


def test_a_listed_model_that_cannot_run_yet_says_so(store, monkeypatch):
    monkeypatch.setattr(registry, "ENTRIES", (replace(entry("ltx-video"), can=()), entry("playground-wan")))
    with pytest.raises(UserError, match="choose one of"):
        list(run(GenerateRequest(model="ltx-video", prompt="a ball"), store))
