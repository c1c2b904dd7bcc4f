"""A board in figures: how alike the character is from shot to shot, and which shots move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from skimage.filters import threshold_otsu

from pipelines.evaluation import metrics
from pipelines.evaluation.eyes import encoder, segmenting
from pipelines.methods.storyboard.masks import LEAST

GREY = 127
"""What is put where the character is not."""


def moving(clips: Sequence[np.ndarray]) -> list[bool]:
    """Which clips (T, H, W, 3) uint8 move; a single frame does not."""
    return [len(clip) > 1 and metrics.is_dynamic(clip) for clip in clips]


def consistency(clips: Sequence[np.ndarray], words: str) -> dict[str, object]:
    """`similarity`, a table of how alike the character named by `words` is in each pair of clips (None where it was not found),
    their mean `consistency`, and what it was measured with; nothing where there are no models to see with.
    """
    see, segment = encoder(), segmenting()
    if see is None or segment is None:
        return {}
    known = [character(clip, segment(clip, words)) for clip in clips]
    table = metrics.set_similarity([see.embed(frames) if len(frames) else np.empty((0, 0)) for frames in known])
    pairs = table[np.triu_indices(len(clips), 1)]
    mean = float(np.nanmean(pairs)) if np.isfinite(pairs).any() else None
    rows = [[None if np.isnan(value) else round(float(value), 4) for value in row] for row in table]
    return {"similarity": rows, "consistency": None if mean is None else round(mean, 4), "consistency_by": see.name}


def character(frames: np.ndarray, likely: np.ndarray) -> np.ndarray:
    """Frames (N, H, W, 3) uint8 of those (T, H, W, 3) in which the character is, all else grey; `likely` (T, H, W) is 0..1."""
    if likely.max() - likely.min() < LEAST:
        return frames[:0]
    mask = likely > threshold_otsu(likely.ravel())
    seen = mask.any((1, 2))
    return np.where(mask[seen, ..., None], frames[seen], np.uint8(GREY))
