"""Pictures of people with their landmarks, and of toys: what the detector and the recognisers are trained on."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.playground.render import render
from pipelines.playground.scene import TRAIN_IDENTITIES, TRAIN_SEEDS, WORLD, Scene, sample_scene

SIZES = {(48, 48): 0.15, (64, 64): 0.3, (64, 96): 0.1, (80, 80): 0.2, (96, 96): 0.15, (128, 128): 0.07, (160, 160): 0.03}
"""(height, width) in pixels -> share of the scenes rendered so; faces are 0.4 to 0.55 of the height."""

SCENES = 3
"""Scenes of each person, each with light, expression, effects, background and size of its own."""

MOMENTS = 2
"""Pictures of each scene, at the beginning and the end of its motion."""

PEOPLE = 16
"""People in a chunk of the cache."""

TOYS = 24
"""Pictures without a face in a chunk."""

FIRST_TOYS = 500_000
"""Training seed of the first scene without a face, far from those of the people."""


class FacePictures:
    """Rendered pictures of `people` training identities (whole chunks), and of toys; held in memory once read.

    Attributes:
        pixels: pictures (H, W, 3) uint8 RGB of several sizes.
        people: (N,) the number of the person in each, 0, 1, ...; -1 where there is none.
        landmarks: (N, 5, 2) and faces: (N, 4) in pixels, see `Rendering`; NaN where there is no person.

    Args:
        cache: folder for the rendered chunks.
        people: how many.
    """

    def __init__(self, cache: Path, people: int) -> None:
        self.folder = cache / f"world{WORLD}" / "faces"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.chunks = -(-people // PEOPLE)
        self.pixels: list[np.ndarray] = []
        self.people, self.landmarks, self.faces = np.zeros(0, int), np.zeros((0, 5, 2)), np.zeros((0, 4))

    def __len__(self) -> int:
        """Number of people."""
        return self.chunks * PEOPLE

    def render_missing(self, workers: int = os.cpu_count() or 1) -> None:
        """Render what the cache lacks, several chunks at a time."""
        missing = [index for index in range(self.chunks) if not self._file(index).exists()]
        if not missing:
            return
        with ProcessPoolExecutor(max(1, workers)) as pool:
            for done, _ in enumerate(pool.map(render_chunk, missing, map(self._file, missing)), 1):
                print(f"rendering faces: {done * PEOPLE}/{len(missing) * PEOPLE} people", flush=True)

    def read(self) -> FacePictures:
        """Load the cache; returns itself."""
        chunks = [np.load(self._file(index)) for index in range(self.chunks)]
        for chunk in chunks:
            ends = np.cumsum(chunk["shapes"].prod(1) * 3)
            parts = np.split(chunk["pixels"], ends[:-1])
            self.pixels += [part.reshape(*shape, 3) for part, shape in zip(parts, chunk["shapes"], strict=True)]
        self.people, self.landmarks, self.faces = (
            np.concatenate([chunk[name] for chunk in chunks]) for name in ("people", "landmarks", "faces")
        )
        return self

    def identity(self, person: int) -> int:
        """The identity's seed of a number in `people`."""
        return TRAIN_IDENTITIES[person]

    def _file(self, chunk: int) -> Path:
        return self.folder / f"{chunk:05d}.npz"


def render_chunk(chunk: int, file: Path) -> None:
    """Render the pictures of chunk number `chunk` and write them to `file`: pixels of all, flattened, and shapes (N, 2)."""
    shown = [(person, scene) for person in range(chunk * PEOPLE, (chunk + 1) * PEOPLE) for scene in scenes_of(person)]
    shown += [(-1, scene) for scene in toy_scenes(chunk)]
    drawn = [(person, render(scene, MOMENTS if person >= 0 else 1, *size_of(scene.seed))) for person, scene in shown]
    frames = [frame for _, clip in drawn for frame in clip.frames]
    values = {
        "pixels": np.concatenate([frame.ravel() for frame in frames]),
        "shapes": np.array([frame.shape[:2] for frame in frames]),
        "people": np.concatenate([np.full(len(clip.frames), person) for person, clip in drawn]),
        "landmarks": np.concatenate([clip.landmarks[-1] for _, clip in drawn]),
        "faces": np.concatenate([clip.faces[-1] for _, clip in drawn]),
    }
    partial = file.with_suffix(f".{os.getpid()}.tmp.npz")
    np.savez(partial, **values)
    os.replace(partial, file)


def scenes_of(person: int) -> list[Scene]:
    """The scenes of person number `person`: everything but the identity is drawn anew in each."""
    first = TRAIN_SEEDS[person * SCENES]
    return [showing(sample_scene(first + index, "person"), TRAIN_IDENTITIES[person]) for index in range(SCENES)]


def showing(scene: Scene, identity: int) -> Scene:
    """`scene` with the person of seed `identity` in it."""
    return replace(scene, subjects=(replace(scene.subjects[-1], identity=identity),))


def toy_scenes(chunk: int) -> list[Scene]:
    """Scenes without a face: two toys, or a particular one, which may well have something face-like about it."""
    first = TRAIN_SEEDS[FIRST_TOYS + chunk * TOYS]
    return [sample_scene(first + index, ("toy", "toys", "instance")[index % 3]) for index in range(TOYS)]


def size_of(seed: int) -> tuple[int, int]:
    """(height, width) that the scene of `seed` is rendered at."""
    choice = np.random.default_rng((93, seed)).choice(len(SIZES), p=list(SIZES.values()))
    return list(SIZES)[int(choice)]
