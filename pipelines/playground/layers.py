"""`Layer`: what one subject is on the sampling grid, whatever kind of subject it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

SAMPLES = 2
"""Samples per pixel along each axis."""


@dataclass(frozen=True)
class Layer:
    """One subject on the sampling grid of T frames, S x S samples per pixel.

    Attributes:
        coverage: (T, H, W) float32 0..1, opacity; soft at the edges.
        shadow: (T, H, W) float32 0..1, opacity of the black shadow that is laid under it.
        colour: (T, H, W, 3) float32 0..1, lit colour.
        local: (T, H, W, 2) float32 surface coordinates; any value where nothing is covered.
        points: (P, 2) surface coordinates of the points to track.
        project: (points (P, 2), height, width) -> (T, P, 2) float32 pixel positions (x, y) in a frame of that size.
        outline: points (P, 2) -> (P,) bool, whether they lie on the subject at all.
        landmarks: (T, 5, 2) screen coordinates (half frame heights, x right, y up) of left eye, right eye, nose, left and
            right corner of the mouth, as seen in the picture; None for what has no face.
        box: (T, 4) screen coordinates of the face: left, top, right, bottom; None for what has no face.
    """

    coverage: Array
    shadow: Array
    colour: Array
    local: Array
    points: Array
    project: Callable[[Array, int, int], Array]
    outline: Callable[[Array], Array]
    landmarks: Array | None = None
    box: Array | None = None


def to_pixels(screen: Array, height: int, width: int) -> Array:
    """(..., 2) float32 pixel positions (x, y), pixel centres at whole numbers, of screen coordinates (..., 2) in half heights, y up."""
    x = (screen[..., 0] * height / width + 1) * width / 2 - 0.5
    return np.stack([x, (1 - screen[..., 1]) * height / 2 - 0.5], -1).astype(np.float32)
