"""How long a video is: from its header where that says so, else from the times of its packets, which are not decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.video.opened import opened_video
from pipelines.video.timed import Source, origin

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream


def seconds_of(source: Source) -> tuple[float, int]:
    """Seconds of a video, and its number of pictures, 0 where that is not told."""
    with opened_video(source.path, source.kind, source.limits) as (container, stream):
        seconds = _told(container, stream)
        if seconds is None:  # recorded live: the header was written before the end was known
            return _last(source, container, stream), 0
        return seconds, stream.frames


def _told(container: InputContainer, stream: VideoStream) -> float | None:
    import av

    if stream.duration:
        return float(stream.duration * stream.time_base)
    if container.duration and container.format.name.startswith("matroska"):  # others estimate it from the size of the file
        return container.duration / av.time_base - origin(stream)
    return None


def _last(source: Source, container: InputContainer, stream: VideoStream) -> float:
    """Seconds at which the last picture ends."""
    end = 0
    for packet in container.demux(stream):
        source.check_time()
        if packet.pts is not None:
            end = max(end, packet.pts + (packet.duration or 0))
    return float(end * stream.time_base) - origin(stream)
