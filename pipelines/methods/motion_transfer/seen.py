"""A clip's motion for the eye, and in figures: tracks of points drawn on it, its y-t slice, how alike two clips move."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.evaluation import metrics
from pipelines.evaluation.eyes import Encoder
from pipelines.evaluation.tracks import REST, TRACKER_ID, track_points, yt_slice
from pipelines.events import Preview

SIDE = 256
"""Pixels that the shorter side of a picture with tracks has at least: lines need room."""

DRAWN = 12
"""Tracks along the shorter side that are drawn: all that are measured would hide the picture."""

TRAIL = 8
"""Frames that a track is drawn behind its point."""


@dataclass(frozen=True)
class Motion:
    """How a clip moves.

    Attributes:
        frames: (T, H, W, 3) uint8.
        tracks: (N, T, 2) pixels (x, y), NaN where a point is lost.
    """

    frames: np.ndarray
    tracks: np.ndarray

    def previews(self, name: str, column: int | None = None) -> Iterator[Preview]:
        """What is shown of it: tracks on the frames, and the y-t slice at `column`, or where most happens."""
        yield Preview("frames", f"motion of the {name}", 0, draw_tracks(self.frames, self.tracks))
        yield Preview("frames", f"y-t slice of the {name}", 0, self.slice(column)[0][None])

    def slice(self, column: int | None = None) -> tuple[np.ndarray, int]:
        """(H, T, 3) uint8: what one column of pixels shows from frame to frame, time to the right; and which column it is."""
        rows, column = yt_slice(self.frames, column)
        return rows.swapaxes(0, 1), column


def motion_of(frames: np.ndarray) -> Motion:
    """The motion of frames (T, H, W, 3) uint8; a single frame has none."""
    return Motion(frames, track_points(frames) if len(frames) > 1 else np.empty((0, len(frames), 2)))


def compared(result: Motion, source: Motion, encoder: Encoder | None) -> dict[str, float | str | None]:
    """Figures of a result beside its source; None where there is nothing to measure, or nothing to measure it with."""
    fidelity = metrics.motion_fidelity(result.tracks, source.tracks, REST)
    moves = len(result.frames) > 1
    return {
        "motion_fidelity": round(fidelity, 4) if np.isfinite(fidelity) else None,
        "tracker": TRACKER_ID,
        "identity_leak": encoder and round(metrics.identity_leak(encoder.embed(result.frames), encoder.embed(source.frames)), 4),
        "encoder": encoder and encoder.name,
        "flicker": round(metrics.flicker(result.frames), 4) if moves else None,
        "dynamic": metrics.is_dynamic(result.frames) if moves else None,
    }


def draw_tracks(frames: np.ndarray, tracks: np.ndarray) -> np.ndarray:
    """(T, H', W', 3) uint8: frames (T, H, W, 3), enlarged where they are small, with each track's last TRAIL places.

    Tracks (N, T, 2) are coloured by where they begin: the hue goes once around the middle of the frame.
    """
    scale = max(1, -(-SIDE // min(frames.shape[1:3])))
    large = frames.repeat(scale, 1).repeat(scale, 2)
    tracks = tracks[_spread(tracks[:, 0], min(frames.shape[1:3]) / DRAWN)] if len(tracks) else tracks
    places, colours = (tracks + 0.5) * scale, _colours(tracks, frames.shape[1:3])
    for time, picture in enumerate(large):
        for track, colour in zip(places, colours, strict=True):
            _draw(picture, track[max(0, time - TRAIL) : time + 1], colour)
    return large


def _spread(points: np.ndarray, cell: float) -> np.ndarray:
    """Indices of one of the points (N, 2) in each square of `cell` pixels that has any."""
    return np.unique(np.floor(points / cell), axis=0, return_index=True)[1]


def _draw(picture: np.ndarray, trail: np.ndarray, colour: tuple[int, int, int]) -> None:
    """Onto `picture` (H, W, 3), in place: the way to a point and the point, as far as it was seen."""
    if not np.isfinite(trail[-1]).all():
        return
    lost = np.flatnonzero(~np.isfinite(trail).all(1))
    seen = np.round(trail[lost[-1] + 1 if len(lost) else 0 :]).astype(np.int32)
    cv2.polylines(picture, [seen[:, None]], False, colour, 1, cv2.LINE_AA)
    cv2.circle(picture, seen[-1].tolist(), 2, colour, -1, cv2.LINE_AA)


def _colours(tracks: np.ndarray, size: tuple[int, int]) -> list[tuple[int, int, int]]:
    middle = np.array(size[::-1]) / 2
    first = np.array([track[np.isfinite(track).all(1)][:1].sum(0) if len(track) else middle for track in tracks]).reshape(-1, 2)
    hues = np.arctan2(*(first - middle).T) / (2 * np.pi) % 1
    return [tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.75, 1.0)) for hue in hues]
