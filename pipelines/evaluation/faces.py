"""Faces in clips, found and told apart by a model pack of insightface, and how good the pack is at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.evaluation.rows import Row
from pipelines.evaluation.verification import verification
from pipelines.faces.packs import open_pack
from pipelines.models.registry import ROOT

if TYPE_CHECKING:
    from insightface.app import FaceAnalysis
    from insightface.app.common import Face

    from pipelines.playground.scene import Scene

FOLDER = ROOT / "assets" / "models" / "playground-faces"
PACKS = ("playground-faces", "playground-faces-second")
DETECTION_SIZE = (128, 128)
"""(width, height) in pixels that pictures are fitted into for detection: enough for clips of one person, and quick."""

FRAMES = 5
"""Frames of a clip that are looked at."""

SIZES = ((64, 64), (96, 96), (64, 96), (128, 128))
"""(height, width) of the renderings that figures are measured on, in turn."""


def open_faces(folder: Path = FOLDER, size: tuple[int, int] = DETECTION_SIZE) -> FaceAnalysis:
    """The pack in `folder`, prepared to detect in pictures fitted into `size` = (width, height), on a GPU if there is one.

    Raises NotAvailable if there is no such pack: insightface itself would try to download one.
    """
    analysis = open_pack(folder)
    analysis.prepare(ctx_id=0, det_size=size)
    return analysis


@dataclass(frozen=True)
class Faces:
    """A prepared pack, with the questions that evaluations ask it."""

    analysis: Any

    @staticmethod
    def load(folder: Path = FOLDER) -> Faces:
        """The pack in `folder`; raises NotAvailable if there is none."""
        return Faces(open_faces(folder))

    def face(self, picture: np.ndarray) -> Face | None:
        """The surest face in a picture (H, W, 3) uint8 RGB: bbox (4,), kps (5, 2), det_score, embedding (512,); None without one."""
        seen = self.analysis.get(np.ascontiguousarray(picture[..., ::-1]))
        return max(seen, key=lambda face: face.det_score, default=None)

    def found(self, clip: np.ndarray) -> bool:
        """Whether a face is seen in most of a few frames of `clip` (T, H, W, 3) uint8 RGB."""
        few = clip[np.linspace(0, len(clip) - 1, min(FRAMES, len(clip))).round().astype(int)]
        return sum(self.face(picture) is not None for picture in few) > len(few) / 2

    def embed(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """(N, 512) float32 unit embeddings of the surest face in each picture (H, W, 3) uint8 RGB; NaN where none is seen."""
        seen = (self.face(picture) for picture in pictures)
        return np.stack([np.full(512, np.nan, np.float32) if face is None else face.normed_embedding for face in seen])


def rows(models: Path = FOLDER.parent, share: int = 1) -> Iterator[Row]:
    """How well the packs in `models` see held-out renderings; 1 / `share` of the pictures."""
    first, *others = (Faces.load(models / name) for name in PACKS)
    yield from _detection_rows(first, 192 // share)
    pairs = Pairs.render(320 // share)
    for name, faces in zip(PACKS, (first, *others), strict=True):
        same, different, alike = pairs.similarities(faces)
        yield Row.of(f"{name}: verification of held-out people", verification(same, different), bar=0.98)
        yield Row.of(f"{name}: the same where hair colour, glasses and beard agree", verification(same, alike))


def _detection_rows(faces: Faces, count: int) -> Iterator[Row]:
    """Of `count` clips of people and as many of toys, at the sizes of SIZES in turn."""
    from pipelines.playground.render import render

    people = [render(scene, FRAMES, *SIZES[index % len(SIZES)]) for index, scene in enumerate(_scenes("person", count))]
    toys = [render(scene, FRAMES, *SIZES[index % len(SIZES)]).frames for index, scene in enumerate(_scenes("toy", count))]
    yield Row.of("faces: found in held-out clips of people", [faces.found(clip.frames) for clip in people], bar=0.95)
    yield Row.of("faces: none found in held-out clips of toys", [not faces.found(clip) for clip in toys], bar=0.95)
    errors = [_landmark_error(faces, clip.frames[0], clip.landmarks[-1, 0]) for clip in people]
    yield Row.of("faces: distance of key points from the truth, in eye distances", [error for error in errors if error is not None])


def _landmark_error(faces: Faces, picture: np.ndarray, truth: np.ndarray) -> float | None:
    """Mean distance of the five key points from `truth` (5, 2) over the distance of the eyes; None where no face is seen."""
    face = faces.face(picture)
    if face is None:
        return None
    return float(np.linalg.norm(face.kps - truth, axis=1).mean() / np.linalg.norm(truth[0] - truth[1]))


def _scenes(kind: str, count: int) -> Iterator[Scene]:
    from pipelines.playground.scene import HELD_OUT_SEEDS, sample_scene

    return (sample_scene(seed, kind) for seed in islice(HELD_OUT_SEEDS, count))


@dataclass(frozen=True)
class Pairs:
    """Two pictures of each of N held-out people in different scenes, and who looks like whom.

    Attributes:
        first, second: N pictures (H, W, 3) uint8 RGB each.
        alike: (N,) for each person, the number of another with the same hair colour, glasses or not, beard or not.
    """

    first: list[np.ndarray]
    second: list[np.ndarray]
    alike: np.ndarray

    @staticmethod
    def render(count: int) -> Pairs:
        """Of the first `count` held-out identities, each second picture of other size, light, expression and place than the first."""
        from pipelines.playground.scene import HELD_OUT_IDENTITIES

        people = [HELD_OUT_IDENTITIES[index] for index in range(count)]
        first = [_picture(person, index, index) for index, person in enumerate(people)]
        second = [_picture(person, count + index, index + 1 + index // len(SIZES)) for index, person in enumerate(people)]
        return Pairs(first, second, _lookalikes(people))

    def similarities(self, faces: Faces) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(N,) cosines each: of one person's two pictures, of two people, of two who look alike; NaN where no face is seen."""
        first, second = faces.embed(self.first), faces.embed(self.second)
        return (first * second).sum(1), (first * np.roll(second, 1, 0)).sum(1), (first * second[self.alike]).sum(1)


def _picture(identity: int, scene: int, size: int) -> np.ndarray:
    from pipelines.playground.render import render
    from pipelines.playground.scene import HELD_OUT_SEEDS, sample_scene
    from pipelines.playground.train.faces.pictures import showing

    drawn = showing(sample_scene(HELD_OUT_SEEDS[50_000 + scene], "person"), identity)
    return render(drawn, 2, *SIZES[size % len(SIZES)]).frames[1]


def _lookalikes(people: Sequence[int]) -> np.ndarray:
    """(N,) the number of the next person after each, round the end, who shares hair colour, glasses and beard; or just the next."""
    from pipelines.playground.people.identity import identity

    looks = [(who.hair_colour, bool(who.glasses), bool(who.beard)) for who in map(identity, people)]
    count = len(people)
    later = ([(index + step) % count for step in range(1, count)] for index in range(count))
    return np.array([next((other for other in others if looks[other] == looks[index]), others[0]) for index, others in enumerate(later)])
