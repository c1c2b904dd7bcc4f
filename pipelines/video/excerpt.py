"""The part of a clip that is wanted: so many pictures of a span of time and a part of the frame, at the size that is wanted.

One picture at a time is held at its own size, so ten minutes in 4K cost no more memory than a second.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np

from pipelines.errors import UserError
from pipelines.video.lengths import seconds_of
from pipelines.video.metadata import Damaged, damaged
from pipelines.video.opened import Limits, NoVideo
from pipelines.video.timed import Picture, Source, timed_pictures

LIMITS = Limits(file_bytes=16 * 2**30)
"""Of a source, only the wanted part is decoded, so the file may be far larger than a clip that is read as a whole."""

LEAD, MOST_LEAD = 0.45, 0.02
"""Share of a picture's time, and seconds at most, by which it may come too late for a moment and still be the one for it: times
of pictures jitter and are rounded, and without this a clip sampled at its own rate would stutter. Below one half, so that ties
have one answer."""

SPARE = 2.0
"""How many times the wanted size a picture has, at the least, when the final filter scales it."""

LEAST = 0.01
"""Share of the frame's width and height that a crop has at least."""

STILLS = (b"avif", b"heic", b"heix", b"heim", b"heis", b"mif1")
"""Brands of photos in the container of videos (ISO/IEC 23008-12), whose tiles would be taken for frames."""

Crop = tuple[float, float, float, float]
"""Left, top, width and height in shares 0..1 of the upright picture."""


@dataclass(frozen=True)
class Description:
    """What a clip is.

    Attributes:
        seconds: how long it is.
        width, height: of the upright picture in square pixels.
        fps: pictures per second, the mean where it varies.
        frames: how many there are, estimated where the file does not say.
        rotated: whether it is stored lying or upside down.
    """

    seconds: float
    width: int
    height: int
    fps: float
    frames: int
    rotated: bool


def describe(path: str | Path, limits: Limits = LIMITS) -> Description:
    """What a clip is, from its header and its first picture; a gif or animated png is read through.

    Raises UserError in one sentence, as `read_excerpt`.
    """
    path = Path(path)
    source = _source(path, limits)
    pictures = timed_pictures(source, 0.0)
    try:
        first = next(pictures, None)
        if first is None:
            raise Damaged
        seconds, frames = seconds_of(source) if source.filmed else _through(first, pictures)
    except UserError:
        raise
    except (Damaged, OSError, ValueError, struct.error) as error:
        raise _refusal(path, error) from error
    finally:
        pictures.close()
    seconds = max(seconds, first.lasts)
    frames = frames or max(1, round(seconds / first.lasts))
    return Description(seconds, *first.size, frames / seconds, frames, first.turned)


def read_excerpt(
    path: str | Path,
    *,
    start: float = 0.0,
    end: float | None = None,
    fps: float,
    frames: int,
    crop: Crop | None = None,
    height: int,
    width: int,
    limits: Limits = LIMITS,
) -> np.ndarray:
    """(frames, height, width, 3) uint8 RGB: pictures of a clip at start, start + 1 / fps, ... seconds.

    Args:
        path: an mp4, mov, webm, mkv, avi, gif or png; the suffix does not matter.
        start, end: the span in seconds from the first picture, end not included; None: until the clip ends. Where the span has
            too few moments, the last picture of it is held.
        fps: moments per second. The picture for a moment is the one on screen, or the next if that is about to come (LEAD); so a
            slow clip gives each picture several times and a quick one leaves some out, whatever its times are.
        frames: how many.
        crop: part of the upright picture to use, None for all. It is scaled to cover height x width, keeping its proportions,
            and what stands out is cut off evenly.

    Decoding starts at the last key picture before `start` and stops at the end of the span. A file that is cut off gives what
    lies before the fault. Raises UserError in one sentence: no clip, no picture in it, damaged before the end of the span, a span
    or a crop that is not in the clip, beyond `limits`.
    """
    path = Path(path)
    source = _source(path, limits)
    moments = _moments(start, end, fps, frames)
    crop = _checked(crop)
    _check_result(frames, height, width, limits)
    pictures = timed_pictures(source, start)
    within = pictures if end is None else takewhile(lambda picture: picture.seconds < end, pictures)
    out = np.empty((frames, height, width, 3), np.uint8)
    try:
        last = _fill(out, within, moments, crop, 1 / fps)
        _check_reached(source, last, start)
    except UserError:
        raise
    except (Damaged, OSError, ValueError, struct.error) as error:
        raise _refusal(path, error, start) from error
    finally:
        pictures.close()
    return out


def window(crop: Crop, aspect: float, wanted: float) -> Crop:
    """The middle part of `crop`, in shares of a picture of `aspect` (width over height), that has the aspect `wanted`."""
    left, top, width, height = crop
    excess = aspect * width / height / wanted
    if excess > 1:
        return left + (width - width / excess) / 2, top, width / excess, height
    return left, top + (height - height * excess) / 2, width, height * excess


def _source(path: Path, limits: Limits) -> Source:
    source = Source.of(path, limits)
    with path.open("rb") as file:
        if file.read(12)[8:] in STILLS:
            raise UserError(f"{path.name} is a photo, not a video: choose a video.")
    return source


def _moments(start: float, end: float | None, fps: float, frames: int) -> np.ndarray:
    """Seconds of the wanted pictures that lie in the span, (`frames`,) or fewer."""
    if frames < 1 or not 0 < fps < math.inf:
        raise ValueError(f"{frames} frames at {fps} per second cannot be read")
    if not 0 <= start < math.inf:
        raise UserError("The part of the clip must start at 0 seconds or later: choose another start.")
    if end is not None and not end > start:
        raise UserError("The part of the clip ends before it starts: choose an end after the start.")
    moments = start + np.arange(frames) / fps
    return moments if end is None else moments[moments < end]


def _checked(crop: Crop | None) -> Crop:
    left, top, width, height = crop or (0.0, 0.0, 1.0, 1.0)
    edges, sides = np.array((left, top, 1 - left - width, 1 - top - height)), np.array((width, height))
    if not ((edges >= -1e-6).all() and (sides >= LEAST).all()):  # false for NaN
        raise UserError("The crop does not lie within the picture, or is too small: choose a larger part of the picture.")
    return max(left, 0.0), max(top, 0.0), width, height


def _check_result(frames: int, height: int, width: int, limits: Limits) -> None:
    if min(height, width) < 1:
        raise ValueError(f"pictures of {width} x {height} cannot be made")
    if frames > limits.frames or frames * height * width * 3 > limits.decoded_bytes:
        raise UserError(f"{frames} pictures of {width} x {height} are too many: choose fewer or smaller ones.")


def _fill(out: np.ndarray, pictures: Iterator[Picture], moments: np.ndarray, crop: Crop, step: float) -> Picture:
    """Write the picture for each of the `moments` to `out`, hold the last one, and return the last one looked at.

    Raises Damaged where pictures end with it before they reach the last moment.
    """
    last, done = None, 0
    try:
        for picture in pictures:
            due = np.searchsorted(moments, picture.seconds - min(LEAD * picture.lasts, LEAD * step, MOST_LEAD))
            if last and due > done:  # these come before this picture, so the one before it is theirs
                out[done:due] = _scaled(last, crop, *out.shape[1:3])
                done = due
            last = picture
            if done == len(moments):
                break
    except Damaged:
        if last is None or last.seconds + 1.5 * last.lasts < moments[-1]:
            raise
    if last is None:
        raise Damaged
    if done < len(moments):
        out[done:] = _scaled(last, crop, *out.shape[1:3])
    out[len(moments) :] = out[len(moments) - 1]
    return last


def _check_reached(source: Source, last: Picture, start: float) -> None:
    """Raise UserError if the clip, whose `last` picture may be held for long, is over at `start`."""
    if (over := last.seconds + last.lasts) > start:
        return
    over = max(over, seconds_of(source)[0] if source.filmed else 0)
    if over <= start:
        raise UserError(f"{source.path.name} is over after {over:.1f} seconds: choose an earlier start.")


def _scaled(picture: Picture, crop: Crop, height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8 of the part `crop` of the picture."""
    from PIL import Image

    shown_width, shown_height = picture.size
    left, top, across, down = window(crop, shown_width / shown_height, width / height)
    pixels = picture.pixels(max(1.0, across * shown_width / width / SPARE))
    rows, columns = pixels.shape[:2]
    box = (left * columns, top * rows, min((left + across) * columns, columns), min((top + down) * rows, rows))
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC, box, reducing_gap=SPARE))


def _through(first: Picture, rest: Iterator[Picture]) -> tuple[float, int]:
    """Seconds and number of pictures, all of which are read."""
    seconds, frames = first.lasts, 1
    for picture in rest:
        seconds, frames = picture.seconds + picture.lasts, frames + 1
    return seconds, frames


def _refusal(path: Path, error: Exception, start: float | None = None) -> UserError:
    if isinstance(error, NoVideo):
        return UserError(f"{path.name} has no moving picture that can be read: choose a video, saved as an H.264 mp4.")
    if start is None:
        return damaged(path)
    return UserError(f"{path.name} is damaged or cut off in this part: choose an earlier part, or get the file again.")
