"""A file to frames, within limits that are checked before and while it is decoded."""

from __future__ import annotations

import struct
import time
from fractions import Fraction
from itertools import count
from pathlib import Path

import numpy as np

from pipelines.errors import UserError
from pipelines.video.metadata import Damaged, check_whole, damaged, opened, picture_size
from pipelines.video.opened import Limits, check_size, clip_kind, opened_video, upright

LIMITS = Limits()


def read_clip(path: str | Path, limits: Limits = LIMITS) -> tuple[np.ndarray, int]:
    """Frames and frame rate of an mp4, mov, webm, mkv, avi, gif or png; the suffix does not matter.

    Returns:
        frames (T, H, W, 3) uint8 RGB, upright; frames per second, 1 or more (a still picture counts as 1).

    Raises UserError in one sentence: no clip, cut off, damaged, or beyond `limits`.
    """
    path = Path(path)
    kind = clip_kind(path, limits)
    try:
        check_whole(path, kind)
        return _pictures(path, kind, limits) if kind in ("gif", "png") else _video(path, kind, limits)
    except UserError:
        raise
    except (Damaged, OSError, EOFError, ValueError, SyntaxError, struct.error) as error:
        raise damaged(path) from error


class _Collector:
    """Frames so far, checked against the limits."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.name, self.limits = path.name, limits
        self.frames: list[np.ndarray] = []
        self.stop = time.monotonic() + limits.seconds

    def check_size(self, width: int, height: int) -> None:
        check_size(self.name, width, height, self.limits)

    def add(self, frame: np.ndarray) -> None:
        """One more frame (H, W, 3)."""
        if self.frames and frame.shape != self.frames[0].shape:
            raise UserError(f"{self.name} changes its size on the way, which cannot be used: choose another clip.")
        self._check_length(len(self.frames) + 1, frame.nbytes)
        self.frames.append(frame)

    def repeat(self, times: list[int]) -> None:
        """Show each frame so many times."""
        self._check_length(sum(times), self.frames[0].nbytes)
        self.frames = [frame for frame, number in zip(self.frames, times, strict=True) for _ in range(number)]

    def _check_length(self, number: int, frame_bytes: int) -> None:
        too_long = number > self.limits.frames or number * frame_bytes > self.limits.decoded_bytes
        if too_long or time.monotonic() > self.stop:
            raise UserError(f"{self.name} is too long: choose a clip of at most {self.limits.frames} frames, or a smaller one.")

    def stack(self) -> np.ndarray:
        if not self.frames:
            raise Damaged
        return np.stack(self.frames)


def _video(path: Path, kind: str, limits: Limits) -> tuple[np.ndarray, int]:
    """Decode the first video stream."""
    collector = _Collector(path, limits)
    with opened_video(path, kind, limits) as (container, stream):
        for frame in container.decode(stream):
            collector.check_size(frame.width, frame.height)
            collector.add(upright(frame.to_ndarray(format="rgb24"), frame.rotation))
        rate = stream.average_rate or stream.guessed_rate or Fraction(1)
    return collector.stack(), max(1, round(rate))


def _pictures(path: Path, kind: str, limits: Limits) -> tuple[np.ndarray, int]:
    """Frames of a gif or (animated) png; frames that the encoder merged because they are equal come back."""
    collector, durations = _Collector(path, limits), []
    collector.check_size(*picture_size(path, kind))
    with opened(path) as picture:
        for index in count():
            try:
                picture.seek(index)
            except EOFError:
                break
            collector.check_size(*picture.size)
            collector.add(np.asarray(picture.convert("RGB")))
            durations.append(float(picture.info.get("duration", 0) or 0))  # milliseconds
    shortest = min((duration for duration in durations if duration > 0), default=0)
    if not shortest:
        return collector.stack(), 1
    times = [max(1, round(duration / shortest)) for duration in durations]
    collector.repeat(times)
    return collector.stack(), max(1, round(1000 * sum(times) / sum(durations)))
