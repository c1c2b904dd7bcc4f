"""The reference picture as the model sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pipelines.errors import UserError
from pipelines.methods.subject_adaptation.pictures import fit, read_picture
from pipelines.methods.zero_shot_subject.request import Fit


def reference_of(file: Path, height: int, width: int, how: Fit) -> np.ndarray:
    """The picture in `file` as (height, width, 3) uint8; raises UserError for one that cannot be used."""
    picture = read_picture(file)
    if picture.pixels is None:
        raise UserError(picture.problem)
    return fit(picture.pixels, height, width) if how == "crop" else letterboxed(picture.pixels, height, width)


def letterboxed(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8: the whole of a picture (H, W, 3) uint8, resized, with white bars."""
    return np.asarray(ImageOps.pad(Image.fromarray(pixels), (width, height), Image.Resampling.LANCZOS, color="white"))
