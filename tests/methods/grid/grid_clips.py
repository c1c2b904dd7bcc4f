"""Clips for tests of grids."""

from __future__ import annotations

import numpy as np


def noise_clip(frames: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """(T, H, W, 3) uint8 of four even patches a frame, other ones for every seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (frames, 2, 2, 3), dtype=np.uint8)
    return coarse.repeat(height // 2, 1).repeat(width // 2, 2)
