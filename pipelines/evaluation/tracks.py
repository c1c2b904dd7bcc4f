"""Point tracks of a clip, by the tracker that needs no weights, and y-t slices: what motion is judged by."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

TRACKER_ID = "opencv-pyramidal-lucas-kanade-forward-backward"
"""The estimator behind `track_points`."""

REST = 0.05
"""Pixels per frame up to which a tracked point may move by the tracker's noise alone: `still` of `motion_fidelity`."""

TEXTURE = 1e-3
"""Smallest eigenvalue of a window's gradients, per pixel, below which a point has nothing to hold on to (OpenCV's minEigThreshold)."""


def track_points(frames: np.ndarray, *, mask: np.ndarray | None = None, spacing: int | None = None) -> np.ndarray:
    """(N, T, 2) float32 positions (x, y) in pixels of points of the first frame, NaN from where they are lost on.

    Pyramidal Lucas-Kanade (Bouguet 2000, in OpenCV) from frame to frame, on colours; a point is lost where following it back
    does not lead to where it came from (Kalal et al. 2010), in a window without texture, or out of the frame. Turns of more than
    some 10 degrees between two frames are beyond it.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        mask: (H, W) bool, where in the first frame points begin; None for everywhere. N is 0 where it is empty.
        spacing: pixels between points; None for a 32nd of the shorter side, at least 2.
    """
    height, width = frames.shape[1:3]
    start = grid_points(height, width, spacing or max(2, round(min(height, width) / 32)), mask)
    tracks = np.full((len(start), len(frames), 2), np.nan, np.float32)
    tracks[:, 0] = start
    for at, (before, after) in enumerate(pairwise(np.ascontiguousarray(frame) for frame in frames)):
        alive = np.flatnonzero(np.isfinite(tracks[:, at, 0]))
        if not len(alive):
            break
        tracks[alive, at + 1] = _followed(before, after, tracks[alive, at])
    return tracks


def grid_points(height: int, width: int, spacing: int, mask: np.ndarray | None = None) -> np.ndarray:
    """(N, 2) float32 (x, y) of a regular grid, where `mask` (H, W) bool is."""
    y, x = (axis.ravel() for axis in np.mgrid[spacing // 2 : height : spacing, spacing // 2 : width : spacing])
    kept = slice(None) if mask is None else mask[y, x]
    return np.stack([x[kept], y[kept]], 1).astype(np.float32)


def yt_slice(frames: np.ndarray, column: int | None = None) -> tuple[np.ndarray, int]:
    """(T, H, 3) uint8: one column of each of the frames (T, H, W, 3), and which: `column`, or that of maximal variance over time.

    The paper's slices (Motion by Queries, Fig. 7) run along a line that it draws and gives no rule for; the variance is ours.
    """
    if column is None:
        column = int(variance(frames).mean((0, 2)).argmax())
    return np.ascontiguousarray(frames[:, :, column]), column


def variance(frames: np.ndarray) -> np.ndarray:
    """(H, W, 3) variance over time of frames (T, H, W, 3) uint8; exact, and with one frame at a time in memory."""
    total = np.zeros(frames.shape[1:], np.int64)
    squares = np.zeros_like(total)
    for frame in map(np.int64, frames):
        total += frame
        squares += frame**2
    return (len(frames) * squares - total**2) / len(frames) ** 2


def _followed(before: np.ndarray, after: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Where `points` (N, 2) of one frame (H, W, 3) are in the next, NaN where lost."""
    height, width = before.shape[:2]
    there, found = _flow(before, after, points)
    back, returned = _flow(after, before, there)
    apart = np.linalg.norm(back - points, axis=1)
    inside = (there >= -0.5).all(1) & (there[:, 0] <= width - 0.5) & (there[:, 1] <= height - 0.5)
    kept = found & returned & inside & (apart <= 0.5 * max(1.0, min(height, width) / 480))
    return np.where(kept[:, None], there, np.nan)


def _flow(before: np.ndarray, after: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, 2) after, and whether they were found (N,)."""
    import cv2

    side = min(before.shape[:2])
    window = max(7, 2 * int(math.sqrt(side) / 2 - 0.5) + 1)  # on toys of the world, 7 did best at 64 and 13 to 17 at 192
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        before,
        after,
        np.ascontiguousarray(points, np.float32).reshape(-1, 1, 2),
        None,
        winSize=(window, window),
        maxLevel=max(0, int(math.log2(side / 8))),
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01),
        minEigThreshold=TEXTURE,
    )
    return there.reshape(-1, 2), found.ravel() == 1
