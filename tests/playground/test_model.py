"""The models that the repository carries: each draws, repeatably, and nothing that happens to a run changes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import numpy as np
import pytest

from pipelines.backbones import open_store
from pipelines.evaluation.playground import psnr
from pipelines.events import Preview, Result
from pipelines.methods import run
from pipelines.methods.generate.request import GenerateRequest
from pipelines.models.registry import ROOT, embedded, entry
from pipelines.models.store import ModelStore
from pipelines.playground.render import render
from pipelines.playground.scene import HELD_OUT_SEEDS, sample_scene

FOLDERS = ROOT / "assets" / "models"


@pytest.fixture(params=[model.name for model in embedded()])
def name(request: pytest.FixtureRequest) -> str:
    """Each model in turn."""
    return request.param


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    return open_store(tmp_path_factory.mktemp("home"))


def ask(name: str, **changes) -> GenerateRequest:
    values = {"model": name, "prompt": "a red ball bounces on a beach", "seed": 5, "steps": 4, **changes}
    return GenerateRequest(**(entry(name).defaults() | values))


def result(events: Iterator) -> Result:
    *_, last = events
    assert isinstance(last, Result)
    return last


def fingerprint(store: ModelStore, name: str) -> str:
    total = hashlib.sha256()
    with store.use(name) as backbone:
        for part in (backbone.transformer, backbone.vae, backbone.pipeline.text_encoder):
            for name, value in sorted(part.state_dict().items()):
                total.update(name.encode() + value.contiguous().numpy().tobytes())
    return total.hexdigest()


def test_the_same_seed_gives_the_same_clip_and_another_another(store: ModelStore, name: str) -> None:
    first, again, other = (result(run(ask(name, seed=seed), store)).frames for seed in (5, 5, 6))
    model = entry(name)
    assert first.shape == (model.default_frames, model.default_height, model.default_width, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_prompt_changes_the_clip(store: ModelStore, name: str) -> None:
    beach, night = (
        result(run(ask(name, prompt=f"a red ball bounces {place}"), store)).frames for place in ("on a beach", "under a night sky")
    )
    assert beach.mean() > night.mean() + 20, "a beach is brighter than a night"


def test_words_that_the_world_does_not_know_are_no_error(store: ModelStore, name: str) -> None:
    assert result(run(ask(name, prompt="Éclair ZEBRA 漢字, quarterly report", steps=1), store)).frames is not None


def test_a_single_frame_can_be_drawn(store: ModelStore, name: str) -> None:
    assert len(result(run(ask(name, frames=1), store)).frames) == 1


def test_stopping_leaves_the_weights_as_they_were(store: ModelStore, name: str) -> None:
    before = fingerprint(store, name)
    events = run(ask(name), store)
    for event in events:
        if isinstance(event, Preview):
            break
    events.close()
    assert fingerprint(store, name) == before
    result(run(ask(name, steps=1), store))
    assert fingerprint(store, name) == before


def test_previews_have_the_colours_of_the_clip(store: ModelStore, name: str) -> None:
    *_, last_preview, clip = (event for event in run(ask(name, steps=8), store) if isinstance(event, Preview | Result))
    small, whole = last_preview.array.mean((0, 1, 2)), clip.frames.mean((0, 1, 2))
    assert np.abs(small - whole).max() < 30


def test_the_autoencoder_keeps_held_out_clips(store: ModelStore, name: str) -> None:
    with store.use(name) as backbone:
        clip = render(sample_scene(HELD_OUT_SEEDS[0]), 17, 64, 64).frames
        assert psnr(clip, backbone.decode_video(backbone.encode_video(clip))) > 19


def test_plain_diffusers_loads_it(name: str) -> None:
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(FOLDERS / name)
    assert "playground-" + pipeline.transformer.__class__.__name__.removesuffix("Transformer3DModel").lower() == name


def test_the_folder_is_small_and_says_how_it_was_made(name: str) -> None:
    folder = FOLDERS / name
    recipe = json.loads((folder / "recipe.json").read_text())
    assert recipe["flags"]["seed"] == 0 and "device" in recipe
    assert "python -m pipelines evaluate playground" in (folder / "README.md").read_text()
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 15 * 2**20


def test_all_models_together_fit_in_a_repository() -> None:
    assert sum(file.stat().st_size for file in FOLDERS.rglob("*") if file.is_file()) <= 46 * 2**20
