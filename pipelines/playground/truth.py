"""Pictures of what a rendering knows: masks, surface coordinates, tracks and faces, drawn for the eye."""

from __future__ import annotations

import numpy as np

from pipelines.playground.render import Rendering

TINTS = np.array([(64, 156, 255), (255, 140, 66)], np.float32)
TAIL = 5
"""Frames that a track's tail is long."""


def show_masks(seen: Rendering) -> np.ndarray:
    """(T, H, W, 3) uint8: the clip in grey, each subject in a colour of its own."""
    picture = 0.45 * seen.frames.mean(-1, keepdims=True).repeat(3, -1)
    for index, mask in enumerate(seen.masks):
        picture = picture + (TINTS[index % 2] - picture) * 0.85 * mask[..., None]
    return _bytes(picture)


def show_surface(seen: Rendering) -> np.ndarray:
    """(T, H, W, 3) uint8: the clip in grey, red and green the surface coordinates, every half of a unit a line."""
    picture = 0.35 * seen.frames.mean(-1, keepdims=True).repeat(3, -1)
    for surface in seen.surface:
        there = np.isfinite(surface[..., 0])
        u, v = surface[there].T
        line = (np.abs((u * 2) % 1 - 0.5) > 0.42) | (np.abs((v * 2) % 1 - 0.5) > 0.42)
        colour = np.stack([127 + 120 * np.tanh(u), 127 + 120 * np.tanh(v), np.full_like(u, 150)], -1)
        picture[there] = np.where(line[:, None], 0.45 * colour, colour)
    return _bytes(picture)


def show_tracks(seen: Rendering, on: np.ndarray | None = None) -> np.ndarray:
    """(T, H, W, 3) uint8: the clip, or `on`, darkened, a dot with a tail for every visible point, a box and dots for a face."""
    picture = 0.6 * (seen.frames if on is None else on).astype(np.float32)
    for subject, tracks in enumerate(seen.tracks):
        for point in np.flatnonzero(seen.visible[subject].any(0)):
            for frame in range(len(picture)):
                _track(picture[frame], tracks[: frame + 1, point], seen.visible[subject, : frame + 1, point], _hue(point, tracks.shape[1]))
        _draw_face(picture, seen.faces[subject], seen.landmarks[subject])
    return _bytes(picture)


def _track(picture: np.ndarray, track: np.ndarray, visible: np.ndarray, colour: np.ndarray) -> None:
    """A dot at the last position, if visible, and fading ones at those before."""
    if not visible[-1]:
        return
    for age, position in enumerate(track[::-1][:TAIL]):
        _dot(picture, position, 1.3 if age == 0 else 0.7, colour, 1.0 - age / TAIL)


def _draw_face(picture: np.ndarray, boxes: np.ndarray, landmarks: np.ndarray) -> None:
    for frame, (box, dots) in enumerate(zip(boxes, landmarks, strict=True)):
        if np.isfinite(box).all():
            corners = np.linspace(box[:2], box[2:], 60)
            edges = [*((x, box[i]) for x in corners[:, 0] for i in (1, 3)), *((box[i], y) for y in corners[:, 1] for i in (0, 2))]
            for position in edges:
                _dot(picture[frame], np.array(position), 0.5, TINTS[0], 0.9)
            for position in dots:
                _dot(picture[frame], position, 1.6, np.float32((255, 255, 255)), 1.0)


def _dot(picture: np.ndarray, position: np.ndarray, radius: float, colour: np.ndarray, alpha: float) -> None:
    """A soft disc at (x, y) on one frame (H, W, 3), in place."""
    x, y = np.round(position).astype(int)
    reach = int(radius) + 2
    rows, columns = slice(max(0, y - reach), max(0, y + reach + 1)), slice(max(0, x - reach), max(0, x + reach + 1))
    patch = picture[rows, columns]
    if patch.size:
        i, j = np.ogrid[rows.start : rows.start + patch.shape[0], columns.start : columns.start + patch.shape[1]]
        cover = alpha * np.clip(radius + 0.5 - np.hypot(j - position[0], i - position[1]), 0, 1)
        patch += (colour - patch) * cover[..., None]


def _hue(index: int, count: int) -> np.ndarray:
    """(3,) a bright colour, different for each index."""
    angle = 2 * np.pi * index / count
    return (150 + 105 * np.cos(angle + np.array([0, 2.1, 4.2]))).astype(np.float32)


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)
