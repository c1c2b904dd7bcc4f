"""Cells at the size that is wanted: adapters work at half resolution (Grid composition, section 3.4). No torch here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Upsampler = Callable[[np.ndarray, int, int], np.ndarray]
"""Frames (T, h, w, 3) uint8, height and width in pixels -> (T, height, width, 3) uint8."""


def lanczos(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Frame by frame with Pillow's Lanczos filter; frames of that size are left as they are."""
    from PIL import Image

    if frames.shape[1:3] == (height, width):
        return frames
    return np.stack([np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS)) for frame in frames])


UPSAMPLERS: dict[str, Upsampler] = {"lanczos": lanczos}
"""By the names that requests have; one that was learnt goes in here."""


def upsampled(frames: np.ndarray, factor: int, how: str) -> np.ndarray:
    """(T, factor * h, factor * w, 3) uint8."""
    return UPSAMPLERS[how](frames, factor * frames.shape[1], factor * frames.shape[2])
