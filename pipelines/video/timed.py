"""Pictures of a clip one after the other, each with its time, from a moment on: what lies before is skipped where the file allows."""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import UserError
from pipelines.video.metadata import Damaged, is_whole, opened, picture_size
from pipelines.video.opened import FORMATS, Limits, check_size, clip_kind, opened_video, upright

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

THREADS = 4
"""Each thread of a decoder holds pictures of its own, so their number bounds the memory."""

LOOK_BACK = (0.0, 10.0, math.inf)
"""Seconds before the wanted moment from which a key picture is looked for, until one is found that lies before it."""


@dataclass(frozen=True)
class Picture:
    """A picture as it was decoded.

    Attributes:
        seconds: when it is shown, counted from the first picture of the clip.
        lasts: seconds that a picture of the clip is usually shown.
        stored: a decoded frame, or (H, W, 3) uint8 RGB.
        stretch: width of a stored pixel over its height.
    """

    seconds: float
    lasts: float
    stored: VideoFrame | np.ndarray
    stretch: float = 1.0

    @property
    def turned(self) -> bool:
        """Whether it is stored lying or upside down."""
        return bool(round(getattr(self.stored, "rotation", 0) / 90) % 4)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in square pixels, upright."""
        stored = self.stored
        height, width = stored.shape[:2] if isinstance(stored, np.ndarray) else (stored.height, stored.width)
        width = max(1, round(width * self.stretch))
        return (height, width) if round(getattr(stored, "rotation", 0) / 90) % 2 else (width, height)

    def pixels(self, shrink: float = 1.0) -> np.ndarray:
        """(H, W, 3) uint8 RGB, upright, with as many pixels as are stored; of a video, both sides are made `shrink` times smaller,
        as their mean: this costs much less than to turn all of them into colours."""
        stored = self.stored
        if isinstance(stored, np.ndarray):
            return stored
        width, height = (max(1, round(side / shrink)) for side in (stored.width, stored.height))
        return upright(stored.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA"), stored.rotation)


@dataclass(frozen=True)
class Source:
    """A file that pictures come from: its kind, what reading may cost, and when (time.monotonic) it must have ended."""

    path: Path
    kind: str
    limits: Limits
    stop: float

    @staticmethod
    def of(path: Path, limits: Limits) -> Source:
        """Raises UserError where the file is no clip, or is larger than `limits` allow."""
        return Source(path, clip_kind(path, limits), limits, time.monotonic() + limits.seconds)

    @property
    def filmed(self) -> bool:
        """Whether it is a video, and not a gif or png."""
        return self.kind in FORMATS

    def check_time(self) -> None:
        """Raise UserError when the time is over."""
        if time.monotonic() > self.stop:
            name = self.path.name
            raise UserError(f"{name} takes too long to read up to there: choose an earlier or shorter part, or a smaller clip.")

    def check_size(self, width: int, height: int) -> None:
        """Raise UserError if pictures of this size are too large."""
        check_size(self.path.name, width, height, self.limits)


def timed_pictures(source: Source, start: float) -> Iterator[Picture]:
    """All pictures in order from the one on screen at `start` (seconds), or an earlier one, on.

    Of a file that is cut off or damaged those before the fault come, then Damaged is raised. Raises UserError beyond its limits.
    """
    with closing(_filmed(source, start) if source.filmed else _drawn(source)) as pictures:
        for picture in pictures:
            source.check_time()
            source.check_size(*picture.size)
            yield picture


def usual_length(stream: VideoStream) -> float:
    """Seconds that a picture of the stream is usually shown."""
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    return float(1 / rate) if rate else 1.0


def origin(stream: VideoStream) -> float:
    """Seconds on the container's clock at which the stream's first picture is shown."""
    return float((stream.start_time or 0) * stream.time_base)


def _filmed(source: Source, start: float) -> Iterator[Picture]:
    """The first attempt whose first picture does not come too late; the last one reads from the beginning."""
    for back in LOOK_BACK:
        with opened_video(source.path, source.kind, source.limits) as (container, stream):
            if start - back <= 0:
                yield from _decoded(source, container, stream, 0.0)
                return
            needed = _needed(source, container, stream, start - back, start)
            pictures = _decoded(source, container, stream, needed) if needed is not None else iter(())
            first = _first(pictures)
            if first and first.seconds <= start + 1e-3:
                yield first
                yield from pictures
                return


def _first(pictures: Iterator[Picture]) -> Picture | None:
    try:
        return next(pictures, None)
    except Damaged:
        return None


def _needed(source: Source, container: InputContainer, stream: VideoStream, moment: float, start: float) -> float | None:
    """Go to the last key picture before `moment`, and tell when the picture on screen at `start` comes; all in seconds.

    None if the file has no way to go there. Packets are looked at and not decoded. An avi, which has no times, needs all: 0.
    """
    import av

    try:
        _seek(container, stream, moment)
        if source.kind == "avi":
            return 0.0
        shown = _on_screen(source, container, stream, start)
        _seek(container, stream, moment)
    except av.error.FFmpegError:
        return None
    return shown


def _seek(container: InputContainer, stream: VideoStream, moment: float) -> None:
    container.seek(math.floor((moment + origin(stream)) / stream.time_base), stream=stream)


def _on_screen(source: Source, container: InputContainer, stream: VideoStream, start: float) -> float:
    shown = 0.0
    for packet in container.demux(stream):
        source.check_time()
        if packet.pts is not None and (seconds := _seconds(packet.pts, stream)) <= start:
            shown = max(shown, seconds)
        if packet.dts is not None and _seconds(packet.dts, stream) > start:  # nothing is shown before its turn to be decoded
            break
    return shown


def _decoded(source: Source, container: InputContainer, stream: VideoStream, needed: float) -> Iterator[Picture]:
    """Pictures from where the container stands, without those before `needed` (seconds) that no other picture is made from.

    Damaged comes at the end, after all that can be had.
    """
    lasts, stretch = usual_length(stream), float(stream.sample_aspect_ratio or 1)
    packets = container.demux(stream)
    head = next(packets)
    began = needed if head.dts is None else _seconds(head.dts, stream)
    for index, frame in enumerate(_frames(source, chain([head], packets), stream, needed)):
        # an avi has a rate and no times: what stands there is the order of decoding
        seconds = began + index * lasts if frame.pts is None or source.kind == "avi" else _seconds(frame.pts, stream)
        yield Picture(seconds, lasts, frame, stretch)


def _seconds(ticks: int, stream: VideoStream) -> float:
    return float(ticks * stream.time_base) - origin(stream)


def _frames(source: Source, packets: Iterable[Packet], stream: VideoStream, needed: float) -> Iterator[VideoFrame]:
    import av

    context, whole = stream.codec_context, is_whole(source.path, source.kind)
    context.thread_type, context.thread_count = "AUTO", THREADS
    try:
        for packet in packets:
            source.check_time()
            if packet.is_corrupt:
                raise Damaged
            past = packet.pts is not None and _seconds(packet.pts, stream) < needed
            context.skip_frame = "NONREF" if past else "DEFAULT"
            yield from packet.decode()
    except (Damaged, av.error.FFmpegError):
        whole = False
        yield from _rest(stream)
    if not whole:
        raise Damaged


def _rest(stream: VideoStream) -> list[VideoFrame]:
    """Frames that the decoder has not handed out yet."""
    import av

    try:
        return stream.decode(None)
    except av.error.FFmpegError:
        return []


def _drawn(source: Source) -> Iterator[Picture]:
    """Frames of a gif or (animated) png."""
    source.check_size(*picture_size(source.path, source.kind))
    seconds = 0.0
    try:
        with opened(source.path) as picture:
            for index in count():
                try:
                    picture.seek(index)
                except EOFError:
                    break
                source.check_size(*picture.size)
                lasts = float(picture.info.get("duration", 0) or 0) / 1000 or 1.0  # from milliseconds; a still counts as a second
                yield Picture(seconds, lasts, np.asarray(picture.convert("RGB")))
                seconds += lasts
    except (OSError, ValueError, SyntaxError, struct.error) as error:
        raise Damaged from error
    if not is_whole(source.path, source.kind):
        raise Damaged
