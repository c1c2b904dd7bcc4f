"""Reference pictures of a subject: read from any file a camera or a program writes, checked, and cut to what a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pipelines.errors import UserError
from pipelines.pictures import read_picture as read_pixels

FEWEST, MOST = 1, 10
"""Pictures of one subject (V-Warper, section 4.1)."""

SMALLEST_SIDE = 48
"""Pixels: below, there is nothing to learn from."""

ALIKE = 0.01
"""Mean difference, of 0..1, of two pictures at 16 x 16 px up to which they count as the same one."""


@dataclass(frozen=True)
class Picture:
    """A picture that can be used, or what is wrong with it.

    Attributes:
        name: of the file.
        pixels: (H, W, 3) uint8 RGB, upright; None if it cannot be used.
        problem: one sentence, empty if there is none. A picture with pixels may still have one: it is left out as a duplicate.
    """

    name: str
    pixels: np.ndarray | None = None
    problem: str = ""


def read_picture(file: Path, name: str = "") -> Picture:
    """The picture in `file` as `pipelines.pictures` reads it, or what is wrong with it."""
    name = name or file.name
    try:
        pixels = read_pixels(file, name)
    except UserError as error:
        return Picture(name, problem=str(error))
    height, width = pixels.shape[:2]
    if min(width, height) < SMALLEST_SIDE:
        return Picture(name, problem=f"{name} has only {width} x {height} px: choose one with {SMALLEST_SIDE} px or more a side.")
    return Picture(name, pixels)


def read_pictures(files: Sequence[Path]) -> list[Picture]:
    """Each file in order; one that shows the same as another before it is named as a duplicate."""
    pictures: list[Picture] = []
    for file in files:
        picture = read_picture(file)
        twin = next((other for other in pictures if not other.problem and same(other, picture)), None)
        if twin:
            picture = Picture(picture.name, picture.pixels, f"{picture.name} shows the same as {twin.name} and is left out.")
        pictures.append(picture)
    return pictures


def usable(pictures: Sequence[Picture]) -> list[Picture]:
    """Those without a problem; raises UserError if they are too few or too many."""
    good = [picture for picture in pictures if not picture.problem]
    if len(good) < FEWEST:
        why = f" {pictures[0].problem}" if pictures else ""
        raise UserError(f"There is no picture to learn from: add {FEWEST} to {MOST} pictures of the subject.{why}")
    if len(good) > MOST:
        raise UserError(f"There are {len(good)} pictures, which is too many: keep the best {MOST}.")
    return good


def fit(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8: the largest middle part of that shape, resized."""
    fitted = ImageOps.fit(Image.fromarray(pixels), (width, height), Image.Resampling.LANCZOS)
    return np.asarray(fitted)


def same(first: Picture, second: Picture) -> bool:
    """Whether two pictures show the same, seen small; False where one cannot be read."""
    if first.pixels is None or second.pixels is None:
        return False
    small = [fit(picture.pixels, 16, 16).astype(np.float64) / 255 for picture in (first, second)]
    return bool(np.abs(small[0] - small[1]).mean() < ALIKE)
