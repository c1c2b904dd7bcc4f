"""Single pictures of the world with labels, captions and masks: what the judge and the segmenter are trained on.

Scenes come in families of four: a, another scene with the same subject as a, b, another with the same subject as b. Where
the subject is an instance, every other b looks like a in all that a caption can say and carries another emblem.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.playground.render import render
from pipelines.playground.scene import TRAIN_SEEDS, WORLD, Person, Scene, Toy, sample_scene

SIDE = 96
"""Height and width in pixels of the kept pictures: the input of the models."""

SIZES = ((64, 64), (80, 80), (96, 96), (64, 96))
"""(height, width) in pixels that pictures are rendered at before they are brought to SIDE x SIDE."""

KINDS = {"toy": 0.34, "instance": 0.22, "toys": 0.12, "person": 0.32}
"""Shares of the kinds of scenes."""

MOMENTS = 3
"""Pictures of each scene: at the beginning, in the middle and at the end of its motion."""

SCENES = 8192
"""Scenes that the models are trained on unless a flag says otherwise."""

FAMILY = 4
CHUNK = 16 * FAMILY


class WorldStills:
    """Pictures of `count` scenes, rounded up to whole chunks, memory-mapped.

    Args:
        cache: folder for the rendered chunks.
        count: number of scenes; each gives MOMENTS pictures.
        first: seed of the first scene.
    """

    def __init__(self, cache: Path, count: int, first: int = TRAIN_SEEDS[0]) -> None:
        self.first, self.chunks = first, -(-count // CHUNK)
        self.folder = cache / f"world{WORLD}" / f"stills-{SIDE}-from-{first}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.scenes = [scene for at in range(0, len(self), FAMILY) for scene in family(first + at)]
        self.groups = np.array([_group(index, scene) for index, scene in enumerate(self.scenes)])
        self._open: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return self.chunks * CHUNK

    def render_missing(self, workers: int = os.cpu_count() or 1) -> None:
        """Render what the cache lacks, several chunks at a time."""
        missing = [index for index in range(self.chunks) if not self._file(index).exists()]
        if not missing:
            return
        with ProcessPoolExecutor(max(1, workers)) as pool:
            for done, _ in enumerate(pool.map(_render_chunk, [(self.first + index * CHUNK, self._file(index)) for index in missing]), 1):
                print(f"rendering {self.folder.name}: {done * CHUNK}/{len(missing) * CHUNK} scenes", flush=True)

    def picture(self, index: int, moment: int) -> np.ndarray:
        """(SIDE, SIDE, 5) uint8: red, green, blue, and coverage of the front subject and of the one behind it, 0..255."""
        chunk, place = divmod(index, CHUNK)
        if chunk not in self._open:
            self._open[chunk] = np.load(self._file(chunk), mmap_mode="r")
        return self._open[chunk][place, moment]

    def draw(self, draw: np.random.Generator, families: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices (families x FAMILY,) of whole families, and a picture (SIDE, SIDE, 5) of each scene, stacked."""
        chosen = draw.choice(len(self) // FAMILY, size=families, replace=False)
        indices = (chosen[:, None] * FAMILY + np.arange(FAMILY)).ravel()
        moments = draw.integers(MOMENTS, size=len(indices))
        return indices, np.stack([self.picture(int(index), int(moment)) for index, moment in zip(indices, moments, strict=True)])

    def _file(self, chunk: int) -> Path:
        return self.folder / f"{chunk:05d}.npy"


def family(seed: int) -> list[Scene]:
    """The four scenes of the family that begins at `seed`: all of one kind, the second and fourth show the subject before them."""
    draw = np.random.default_rng((91, seed))
    kind = str(draw.choice(list(KINDS), p=list(KINDS.values())))
    scenes = [sample_scene(seed + member, kind) for member in range(FAMILY)]
    if kind == "instance" and draw.uniform() < 0.5:
        first, third = scenes[0].subjects[-1], scenes[2].subjects[-1]
        scenes[2] = _showing(scenes[2], replace(first, emblem=third.emblem))
    return [scenes[0], _showing(scenes[1], scenes[0].subjects[-1]), scenes[2], _showing(scenes[3], scenes[2].subjects[-1])]


def look(subject: Toy | Person) -> dict[str, object]:
    """What makes a subject this one wherever it is: the marked toy, the person; empty for a toy without a mark."""
    if isinstance(subject, Person):
        return {"identity": subject.identity}
    names = ("shape", "colour", "pattern", "emblem") if subject.emblem is not None else ()
    return {name: getattr(subject, name) for name in names}


def _showing(scene: Scene, subject: Toy | Person) -> Scene:
    """`scene` with its front subject replaced by `subject`, as far as that is a particular one; pose and nuisance stay."""
    return replace(scene, subjects=(*scene.subjects[:-1], replace(scene.subjects[-1], **look(subject))))


def _group(index: int, scene: Scene) -> int:
    """A number that the pictures of one particular subject share; -1 without one."""
    return index // 2 if look(scene.subjects[-1]) and len(scene.subjects) == 1 else -1


def size_of(seed: int) -> tuple[int, int]:
    """(height, width) that the scene of `seed` is rendered at."""
    return SIZES[int(np.random.default_rng((92, seed)).integers(len(SIZES)))]


def _render_chunk(job: tuple[int, Path]) -> None:
    first, file = job
    scenes = [scene for at in range(0, CHUNK, FAMILY) for scene in family(first + at)]
    pictures = np.stack([still_pictures(scene, *size_of(first + at)) for at, scene in enumerate(scenes)])
    partial = file.with_suffix(f".{os.getpid()}.tmp.npy")
    np.save(partial, pictures)
    os.replace(partial, file)


def still_pictures(scene: Scene, height: int, width: int) -> np.ndarray:
    """(MOMENTS, SIDE, SIDE, 5) uint8 of `scene` rendered at `height` x `width`: colours and coverage, see `WorldStills.picture`."""
    shown = render(scene, MOMENTS, height, width)
    masks = np.round(shown.masks[::-1][:2] * 255).astype(np.uint8)
    if len(masks) == 1:
        masks = np.concatenate([masks, np.zeros_like(masks)])
    layers = [shown.frames, *(mask[..., None] for mask in masks)]
    return np.stack([np.concatenate([_fit(layer[moment]) for layer in layers], -1) for moment in range(MOMENTS)])


def _fit(image: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE, C) of an (H, W, C) uint8 image with one or three channels, as the models' processors resize."""
    if image.shape[:2] == (SIDE, SIDE):
        return image
    resized = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(resized).reshape(SIDE, SIDE, -1)
