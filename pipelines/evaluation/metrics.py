"""What figures of clips are made of: pure functions of arrays, embeddings and tracks; encoders are the caller's.

A figure is comparable only with figures of the same metric id, which says what it was measured with.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

STILL = 1e-6
"""Pixels per frame below which a point stands still."""

FLOW_ID = "opencv-dis-medium"
"""The estimator behind `optical_flow`."""


def pck(found: np.ndarray, truth: np.ndarray, side: float, alpha: float = 0.05) -> np.ndarray:
    """(N,) bool: whether each found point (N, 2) lies within `alpha` x `side` of the truth (N, 2), all in pixels.

    Percentage of correct key points (Yang and Ramanan 2013) as V-Warper has it (appendix B.1): `side` is the longer side of the
    picture. Points whose truth is NaN are left out.
    """
    known = np.isfinite(truth).all(1)
    return np.linalg.norm(found[known] - truth[known], axis=1) <= alpha * side


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N, M) cosines of embeddings (N, D) and (M, D). Raises ValueError for one of length zero."""
    unit = []
    for part in (first, second):
        length = np.linalg.norm(part, axis=1, keepdims=True)
        if not (length > 0).all():
            raise ValueError("an embedding has no length")
        unit.append(part / length)
    return unit[0] @ unit[1].T


def similarity(frames: np.ndarray, references: np.ndarray) -> float:
    """Mean cosine of frames (N, D) x references (M, D): CLIP-I, DINO-I, and face similarity with those encoders."""
    return float(cosines(frames, references).mean())


def temporal_coherence(frames: np.ndarray) -> float:
    """Mean cosine of consecutive frames (T, D), T > 1. A still clip has 1: always beside `dynamic_degree`."""
    return float(np.diagonal(cosines(frames[:-1], frames[1:])).mean())


def flicker(frames: np.ndarray) -> float:
    """(255 - mean absolute difference of consecutive frames) / 255 of frames (T, H, W, 3) uint8, T > 1 (VBench)."""
    return float(1 - np.abs(np.diff(frames.astype(np.float64), axis=0)).mean() / 255)


def optical_flow(frames: np.ndarray) -> np.ndarray:
    """(T - 1, H, W, 2) displacement (x, y) in pixels from each frame to the next, of frames (T, H, W, 3) uint8."""
    import cv2

    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in frames]
    return np.stack([estimator.calc(before, after, None) for before, after in pairwise(grey)])


def speeds(flow: np.ndarray, share: float = 0.05) -> np.ndarray:
    """(T - 1,) mean length of the longest `share` of the vectors (T - 1, H, W, 2) of each pair, in pixels (VBench: top 5 %)."""
    lengths = np.sort(np.linalg.norm(flow, axis=-1).reshape(len(flow), -1), axis=1)
    count = max(1, round(share * lengths.shape[1]))
    return lengths[:, -count:].mean(1)


def is_dynamic(frames: np.ndarray, threshold: float = 6 / 256, share: float = 4 / 16) -> bool:
    """Whether a clip (T, H, W, 3) uint8 moves: `speeds` above `threshold` x the shorter side in at least `share` of its pairs.

    VBench's dynamic degree with another estimator (FLOW_ID): 6 px at 256 in 4 of 16 pairs.
    """
    quick = speeds(optical_flow(frames)) > threshold * min(frames.shape[1:3])
    return bool(quick.sum() >= share * len(quick))


def outside_change(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> float:
    """Mean absolute difference, of 0..1, of two clips (T, H, W, 3) uint8 where `mask` (T, H, W) bool is not; NaN if it is everywhere."""
    difference = np.abs(first.astype(np.float64) - second.astype(np.float64)).mean(-1) / 255
    return float(difference[~mask].mean()) if (~mask).any() else float("nan")


def motion_fidelity(target: np.ndarray, source: np.ndarray) -> float:
    """How alike two sets of point tracks (N, T, 2) and (M, T, 2) move: 1 for the same motion, -1 for the reverse.

    Correlations of the directions of velocity (Yatim et al. 2024, Space-Time Diffusion Features): for each track the best of the
    other set, averaged over both sets; halved here, so that 1 is perfect. Points that stand still have no direction and are
    left out; NaN if a set has no moving point.
    """
    directions = [_directions(tracks) for tracks in (target, source)]
    if not all(len(part) for part in directions):
        return float("nan")
    table = np.einsum("ntc,mtc->nmt", *directions).mean(-1)
    return float((table.max(1).mean() + table.max(0).mean()) / 2)


def _directions(tracks: np.ndarray) -> np.ndarray:
    """(N', T - 1, 2) unit velocities of the tracks (N, T, 2) that move between all of their frames and are seen in all."""
    velocity = np.diff(tracks, axis=1)
    speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
    moving = (speed > STILL).all((1, 2)) & np.isfinite(tracks).all((1, 2))
    return velocity[moving] / speed[moving]
