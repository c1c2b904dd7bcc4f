"""The face packs that come with the project, as insightface loads them."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import NotAvailable
from pipelines.evaluation.faces import FOLDER, PACKS, Faces, Pairs, open_faces
from pipelines.playground.render import Rendering, render
from pipelines.playground.scene import HELD_OUT_IDENTITIES, HELD_OUT_SEEDS, sample_scene


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a connection fails."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def packs() -> list[Faces]:
    return [Faces.load(FOLDER.parent / name) for name in PACKS]


@pytest.fixture(scope="module")
def people() -> list[Rendering]:
    """Held-out people without an effect in front of them, at 64 and 96 pixels in turn."""
    scenes = [scene for scene in (sample_scene(seed, "person") for seed in HELD_OUT_SEEDS[500:540]) if not scene.effects][:8]
    return [render(scene, 2, side, side) for scene, side in zip(scenes, (64, 96) * 4, strict=True)]


@pytest.mark.parametrize("name", PACKS)
def test_insightface_loads_the_folder_as_it_is(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from insightface.app import FaceAnalysis

    monkeypatch.setenv("HOME", str(tmp_path))
    analysis = FaceAnalysis(name=str(FOLDER.parent / name), providers=["CPUExecutionProvider"])
    analysis.prepare(ctx_id=0)
    assert set(analysis.models) == {"detection", "recognition"}
    assert analysis.get(np.zeros((64, 64, 3), np.uint8)) == []
    assert not any(tmp_path.iterdir()), "nothing was fetched"


def test_without_a_pack_there_is_a_sentence_and_no_download(tmp_path: Path) -> None:
    with pytest.raises(NotAvailable, match="no face model pack"):
        open_faces(tmp_path / "buffalo_l")


@pytest.mark.parametrize("size", [(128, 128), (160, 160), (320, 320), (640, 640)])
def test_faces_are_found_whatever_the_size_of_detection(size: tuple[int, int], people: list[Rendering]) -> None:
    faces = Faces(open_faces(size=size))
    errors = []
    for person in people:
        face = faces.face(person.frames[0])
        assert face is not None
        truth = person.landmarks[-1, 0]
        errors.append(np.linalg.norm(face.kps - truth, axis=1).mean() / np.linalg.norm(truth[0] - truth[1]))
        assert overlap(face.bbox, person.faces[-1, 0]) > 0.6
    assert np.mean(errors) < 0.125, "key points lie within an eighth of the distance of the eyes"


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    inside = np.prod(np.clip(np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]), 0, None))
    return inside / (np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2]) - inside)


def test_clips_with_and_without_a_face(packs: list[Faces], people: list[Rendering]) -> None:
    assert all(packs[0].found(person.frames) for person in people)
    toys = [render(sample_scene(seed, "toy"), 1).frames for seed in HELD_OUT_SEEDS[:8]]
    assert not any(packs[0].found(clip) for clip in toys)


def test_several_faces_in_a_grid_are_all_found(packs: list[Faces], people: list[Rendering]) -> None:
    small = [person.frames[0] for person in people if person.frames.shape[1] == 96][:4]
    grid = np.concatenate([np.concatenate(small[:2], 1), np.concatenate(small[2:], 1)])
    analysis = open_faces(size=(256, 256))
    assert len(analysis.get(np.ascontiguousarray(grid[..., ::-1]))) == 4


def test_the_packs_embed_in_their_own_ways_and_agree_on_who_is_who(packs: list[Faces]) -> None:
    pairs = Pairs.render(8)
    first, second = (faces.embed(pairs.first) for faces in packs)
    assert first.shape == second.shape == (8, 512)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-3)
    assert np.abs((first * second).sum(1)).max() < 0.5, "one says nothing about the other's numbers"
    for faces in packs:
        same, different, _ = pairs.similarities(faces)
        assert same.mean() > different.mean() + 0.3


def test_pairs_are_of_held_out_people_and_lookalikes_are_others() -> None:
    from pipelines.playground.people.identity import identity

    pairs = Pairs.render(6)
    assert len(pairs.first) == len(pairs.second) == 6
    assert (pairs.alike != np.arange(6)).all()
    many = [identity(HELD_OUT_IDENTITIES[index]) for index in range(6)]
    assert len(set(many)) == 6
    assert all(not np.array_equal(a, b) for a, b in zip(pairs.first, pairs.second, strict=True))
