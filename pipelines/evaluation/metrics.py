"""What figures of clips are made of: pure functions of arrays, embeddings and tracks; encoders are the caller's.

A figure is comparable only with figures of the same metric id, which says what it was measured with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

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


def identity_leak(target: np.ndarray, source: np.ndarray, plain: np.ndarray | None = None) -> float:
    """How much of the source's looks is in the target, from embeddings (T, D) of their frames; lower is better.

    Motion by Queries, section 3: the mean similarity of source and target frames, DINO there. With `plain`, embeddings of what
    the same prompt and seed give without injection, ours: the part of it that injection brought in, 0 for none; best from frames
    in which all but the subject is masked. The paper's also counts likeness that the prompts share.
    """
    leak = similarity(target, source)
    return leak if plain is None else leak - similarity(plain, source)


def set_similarity(shots: Sequence[np.ndarray]) -> np.ndarray:
    """(S, S) mean cosine over the frames of each two shots, from embeddings (T, D) of what is to be the same in all.

    Motion by Queries, section 5: best from frames in which all but the character is masked. NaN on the diagonal, and for shots
    without a frame.
    """
    table = np.full((len(shots), len(shots)), np.nan)
    for first, second in combinations(range(len(shots)), 2):
        if len(shots[first]) and len(shots[second]):
            table[first, second] = table[second, first] = similarity(shots[first], shots[second])
    return table


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


@dataclass(frozen=True)
class MotionFidelity:
    """How alike two sets of tracks move, and what that was told from.

    Attributes:
        score: 1 for the same motion, -1 for the reverse; NaN if a set has no track that counts.
        counted: tracks of target and source that the score is made of.
        left_out: tracks of target and source that stand still, are seen in one frame only, or have no track of the other set to
            be compared with in at least half of their steps.
    """

    score: float
    counted: tuple[int, int]
    left_out: tuple[int, int]


def motion_fidelity(target: np.ndarray, source: np.ndarray, still: float = STILL) -> float:
    """The score of `compare_motion`."""
    return compare_motion(target, source, still).score


def compare_motion(target: np.ndarray, source: np.ndarray, still: float = STILL) -> MotionFidelity:
    """How alike two sets of point tracks (N, T, 2) and (M, T, 2) move; NaN where a point is not seen.

    Correlations of the directions of velocity (Yatim et al. 2024, Space-Time Diffusion Features): for each track the best of the
    other set, averaged over both sets; halved here, so that 1 is perfect. A correlation is the mean over the steps in which both
    points are seen and at least one moves faster than `still` (pixels per frame); a step in which the other rests counts 0.
    In the mean over a set, a track weighs as much as it has such steps of its own.
    """
    first, second = _directions(target, still), _directions(source, still)
    length = 2 * first.seen.shape[1]
    dots = first.units.reshape(-1, length) @ second.units.reshape(-1, length).T
    common = first.seen @ second.seen.T - first.resting @ second.resting.T
    table = np.divide(dots, common, out=np.full(dots.shape, -np.inf), where=common > 0)
    scores, weights = zip(_best(table, common, first.moving), _best(table.T, common.T, second.moving), strict=True)
    counted = tuple(int((weight > 0).sum()) for weight in weights)
    left_out = (len(target) - counted[0], len(source) - counted[1])
    if not all(counted):
        return MotionFidelity(float("nan"), counted, left_out)
    means = [np.average(score, weights=weight) for score, weight in zip(scores, weights, strict=True)]
    return MotionFidelity(float(np.mean(means)), counted, left_out)


@dataclass(frozen=True)
class _Directions:
    """Of N tracks in T - 1 steps: unit velocities (N, T - 1, 2), 0 where there is none; seen and resting (N, T - 1) as 0 and 1;
    and the number of steps in which each moves (N,)."""

    units: np.ndarray
    seen: np.ndarray
    resting: np.ndarray
    moving: np.ndarray


def _directions(tracks: np.ndarray, still: float) -> _Directions:
    """Tracks that never move count as never seen."""
    velocity = np.diff(tracks.astype(np.float64), axis=1)
    speed = np.linalg.norm(velocity, axis=-1)
    moves = speed > still  # false where NaN
    seen = np.isfinite(speed) & moves.any(1, keepdims=True)
    units = np.divide(velocity, speed[..., None], out=np.zeros_like(velocity), where=moves[..., None])
    return _Directions(units, seen.astype(np.float64), (seen & ~moves).astype(np.float64), moves.sum(1))


def _best(table: np.ndarray, common: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) each row's highest correlation among those of at least half of its moving steps, and its weight, 0 where there is none.

    Without the bound, a point that is seen for one step would be the best match of whatever goes its way in it.
    """
    fit = (common > 0) & (common >= moving[:, None] / 2) & (moving[:, None] > 0)
    found = fit.any(1)
    score = np.where(fit, table, -np.inf).max(1, initial=-np.inf)
    return np.where(found, score, 0.0), np.where(found, moving, 0)


def track_correlation(first: np.ndarray, second: np.ndarray, still: float = 1.0) -> float:
    """Mean correlation, -1..1, of two tracks (T, 2) in pixels over the axes along which the first moves; NaN where there is none.

    Frames in which either is not seen (NaN) are left out; an axis moves if its deviation is more than `still` pixels.
    """
    seen = np.isfinite(first).all(1) & np.isfinite(second).all(1)
    if seen.sum() < 3:
        return float("nan")
    pairs = [(first[seen, axis], second[seen, axis]) for axis in (0, 1) if first[seen, axis].std() > still]
    each = [np.corrcoef(own, other)[0, 1] if other.std() else 0.0 for own, other in pairs]
    return float(np.mean(each)) if each else float("nan")
