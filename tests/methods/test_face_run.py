"""A clip of a person from its request, end to end: what is shown, what is refused, and that without the face it is plain generation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.backbones import open_store
from pipelines.errors import UserError
from pipelines.events import Preview, Progress, Result
from pipelines.files import Files
from pipelines.methods import planner, run
from pipelines.methods.face_identity.card import Card
from pipelines.methods.face_identity.modules import FaceAdapter, ResamplerSizes, sizes_for
from pipelines.methods.face_identity.request import FaceRequest
from pipelines.methods.face_identity.weights import save_adapter
from pipelines.methods.generate.request import GenerateRequest
from pipelines.models.registry import entry
from pipelines.playground.render import render
from pipelines.playground.scene import TRAIN_SEEDS, sample_scene

SETTINGS = {"prompt": "a person nods", "seed": 3, "width": 48, "height": 32, "frames": 9, "fps": 8, "steps": 4, "guidance": 3.0}


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    """Two people, (128, 128, 3) uint8."""
    scenes = [scene for scene in (sample_scene(seed, "person") for seed in TRAIN_SEEDS[700:720]) if not scene.effects][:2]
    return [render(scene, 1, 128, 128).frames[0] for scene in scenes]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, portraits: list[np.ndarray], loaded) -> Files:
    """A place with photos, and an adapter for the tiny model that changes a lot."""
    import torch

    root = tmp_path_factory.mktemp("mine")
    grass = np.full((128, 128, 3), (90, 160, 60), np.uint8)
    pictures = {"one": portraits[0], "two": np.concatenate(portraits, 1), "none": grass}
    pictures["tiny"] = np.pad(portraits[0][::10, ::10], ((60, 60), (60, 60), (0, 0)))
    for name, picture in pictures.items():
        Image.fromarray(picture).save(root / f"{name}.png")
    torch.manual_seed(5)
    width = loaded["wan"].blocks()[0].width("output")
    sizes = sizes_for(loaded["wan"], ResamplerSizes(width=64, depth=1, heads=1, queries=3, output=width), registers=2)
    adapter = FaceAdapter(sizes, Card(recogniser="playground-faces", crop=32, base="tiny"))
    for parameter in (*adapter.ip_layers.parameters(), *adapter.ref_layers.parameters()):
        parameter.data.normal_(std=1 / parameter.shape[-1] ** 0.5)
    save_adapter(adapter, root / "adapter")
    return Files(root)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    return open_store(tmp_path_factory.mktemp("home"), "cpu")


@pytest.fixture
def ask(tiny_wan_folder: Path):
    """A request for the tiny model."""

    def asked(**values) -> FaceRequest:
        base = {"model": str(tiny_wan_folder), "photo": "one.png", "adapter": "adapter", "consent": True} | SETTINGS
        return FaceRequest.read(base | values)

    return asked


def test_what_is_shown_of_a_face(ask, store, files) -> None:
    *events, result = run(ask(watch_every=2), store, files)
    assert isinstance(result, Result) and result.frames.shape == (9, 32, 48, 3)
    shown = {event.name: event.array for event in events if isinstance(event, Preview)}
    assert shown["face for recognition"].shape == (1, 112, 112, 3) and shown["face for reference"].shape == (1, 32, 32, 3)
    assert shown["faces in the photo"].shape[1] >= 128
    assert len(shown["face in the clip"]) == len(shown["face so far"]) == len(shown["likeness in the clip"]) == 9
    assert sum(isinstance(event, Preview) and event.name == "denoised" for event in events) == 4
    assert [event for event in events if isinstance(event, Progress)][-1].phase == "comparing the faces"
    assert len(result.values["likeness"]) == 9 and 0 <= result.values["face_found"] <= 1


def test_without_identity_and_details_it_is_plain_generation(ask, store, files, tiny_wan_folder) -> None:
    *_, alone = run(ask(id_scale=0, ref_scale=0), store, files)
    *_, plain = run(GenerateRequest.read(SETTINGS | {"model": str(tiny_wan_folder)}), store, files)
    assert np.array_equal(alone.frames, plain.frames)
    assert any("no effect" in note for note in alone.notes)
    *_, drawn = run(ask(), store, files)
    assert not np.array_equal(drawn.frames, plain.frames)


def test_a_face_is_chosen_by_its_number(ask, store, files) -> None:
    left, right = (_shown(run(ask(photo="two.png", face=number), store, files)) for number in (1, 2))
    alone = _shown(run(ask(), store, files))
    apart = [np.abs(alone.astype(int) - one).mean() for one in (left, right)]
    assert apart[0] < 5 < apart[1]


def _shown(events) -> np.ndarray:
    """The face for recognition, without drawing anything."""
    return next(event.array[0] for event in events if isinstance(event, Preview) and event.name == "face for recognition")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"photo": ""}, "No photo"),
        ({"consent": False}, "Consent is missing"),
        ({"photo": "missing.png"}, "missing.png cannot be read"),
        ({"photo": "none.png"}, "No face is seen"),
        ({"photo": "two.png"}, "2 faces of similar size"),
        ({"photo": "two.png", "face": 3}, "no face 3"),
        ({"photo": "tiny.png"}, "px high|No face is seen"),
        ({"photo": "../one.png"}, "not one of yours"),
        ({"adapter": ""}, "No adapter"),
        ({"adapter": "nothing"}, "no adapter nothing"),
        ({"adapter": "lynx-full"}, "made for wan2.1-14b"),
        ({"pack": "playground-faces-second"}, "only measures"),
        ({"pack": "other"}, "no face models called 'other'"),
        ({"pack": "buffalo_l"}, "not on this machine"),
        ({"first_step": 0.8, "last_step": 0.5}, "after the last"),
        ({"prompt": " "}, "prompt is empty"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(ask, store, files, values, says, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path))
    with pytest.raises(UserError, match=says) as refused:
        list(run(ask(**values), store, files))
    assert str(refused.value).endswith(".") and "\n" not in str(refused.value)


def test_a_mark_is_seen_and_leaves_the_rest(ask, store, files) -> None:
    *_, plain = run(ask(frames=5), store, files)
    *_, marked = run(ask(frames=5, mark=True), store, files)
    changed = (marked.frames != plain.frames).any((0, 3))
    assert changed.any() and not changed[:16].any() and not changed[:, :8].any()


def test_three_passes_are_estimated_longer(ask) -> None:
    request = ask(width=192, height=192, frames=33, steps=100)
    planning, model = planner(request), entry(request.model)
    three, two, one = (
        planning.estimate(request.model_copy(update=values), model, True).seconds for values in ({}, {"id_guidance": 0}, {"guidance": 1.0})
    )
    assert three > two > one
