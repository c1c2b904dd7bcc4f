"""The models that look at clips: judge, segmenter, face detector and recognisers; each was trained on renderings alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipelines.evaluation import faces, judge, segmenter
from pipelines.evaluation.rows import Row
from pipelines.models.registry import ROOT

MODELS = ROOT / "assets" / "models"
NAMES = {"judge": "playground-judge", "segmenter": "playground-segmenter", "faces": "playground-faces"}


@dataclass(frozen=True)
class Eyes:
    """What figures about clips are measured with; None for a model that has not been trained yet."""

    judge: judge.Judge | None
    segmenter: segmenter.Segmenter | None
    faces: faces.Faces | None

    def missing(self) -> list[str]:
        """Folder names of the models that are not there: the rows that need them are left out."""
        return [folder for field, folder in NAMES.items() if getattr(self, field) is None]


def open_eyes(folder: Path = MODELS) -> Eyes:
    """Load those that `folder` has."""
    loaders = {"judge": judge.Judge.load, "segmenter": segmenter.Segmenter.load, "faces": faces.Faces.load}
    return Eyes(**{field: loader(folder / NAMES[field]) if _there(folder / NAMES[field]) else None for field, loader in loaders.items()})


class Encoder(NamedTuple):
    """What likeness of subjects is measured with: `name` stands beside the figures, `embed` turns frames (T, H, W, 3) uint8 into (T, E)."""

    name: str
    embed: Callable[[np.ndarray], np.ndarray]


@cache
def encoder() -> Encoder | None:
    """The judge's embedding of subjects, loaded once; None where there is no judge. At home on the world: elsewhere it is a hint."""
    name = NAMES["judge"]
    return Encoder(name, judge.Judge.load(MODELS / name).embed) if _there(MODELS / name) else None


@cache
def segmenting() -> Callable[[np.ndarray, str], np.ndarray] | None:
    """What finds a thing by its name, loaded once: frames (T, H, W, 3) uint8 and words to masks (T, H, W) 0..1; None without one."""
    name = NAMES["segmenter"]
    return segmenter.Segmenter.load(MODELS / name).masks if _there(MODELS / name) else None


def _there(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def rows_of_eyes(eyes: Eyes, quick: bool = False) -> Iterator[Row]:
    """How well they see held-out renderings: without that, what they say of generated clips means nothing."""
    share = 8 if quick else 1
    if eyes.judge:
        yield from judge.rows(eyes.judge, 512 // share)
    if eyes.segmenter:
        yield from segmenter.rows(eyes.segmenter, 256 // share)
        yield _directions(eyes.segmenter, 64 // share)
    if eyes.faces:
        yield from faces.rows(MODELS, share)


def _directions(watcher: segmenter.Segmenter, count: int) -> Row:
    from pipelines.evaluation.playground import directed_scenes, way_of
    from pipelines.playground.render import render

    right = [way_of(scene, render(scene).frames, watcher) == scene.labels()["motion"] for scene in islice(directed_scenes(), count)]
    return Row.of("segmenter: direction of motion told right on real renderings", right, bar=0.97)
