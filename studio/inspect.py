"""Events as pictures. Pure functions on numpy and PIL; nothing is written to disk."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from pipelines.events import Preview

SCREEN = 384  # pixels of the longer side


def still(frame: np.ndarray, side: int = SCREEN, crisp: bool = False) -> bytes:
    """frame: (H, W, 3) uint8 RGB -> WebP."""
    return animate(frame[None], 1.0, side, crisp)


def animate(frames: np.ndarray, seconds: float, side: int = SCREEN, crisp: bool = False) -> bytes:
    """frames: (T, H, W, 3) uint8 RGB -> endlessly repeating WebP that plays for `seconds`, `side` px on its longer side."""
    height, width = frames.shape[1:3]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    filter = Image.Resampling.NEAREST if crisp else Image.Resampling.BICUBIC
    pictures = [Image.fromarray(frame).resize(size, filter) for frame in frames]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, "WEBP", save_all=True, append_images=pictures[1:], duration=max(20, round(1000 * seconds / len(frames))), loop=0, quality=80, method=0
    )
    return buffer.getvalue()


def picture(preview: Preview, seconds: float, side: int = SCREEN) -> bytes:
    """A preview as animated WebP."""
    return animate(preview.array, seconds, side)
