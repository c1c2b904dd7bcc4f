"""A video container opened for reading by ffmpeg, within limits and without ever following what the file points to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import UserError
from pipelines.video.metadata import Damaged, kind_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

FORMATS = {"mp4": "mp4", "webm": "matroska", "avi": "avi"}
"""Kind of file -> ffmpeg's reader; mp4 stands for mov, webm for mkv too."""


@dataclass(frozen=True)
class Limits:
    """What a clip may cost: bytes of the file, pixels of a frame, frames, bytes of all frames decoded, seconds of decoding."""

    file_bytes: int = 512 * 2**20
    pixels: int = 4096 * 2304
    frames: int = 1024
    decoded_bytes: int = 2 * 2**30
    seconds: float = 60.0


class NoVideo(Damaged):
    """The file is whole, but has no moving picture in a coding that is known here."""


def clip_kind(path: Path, limits: Limits) -> str:
    """What clip the file is by its content. Raises UserError where it is none, or larger than `limits` allow."""
    kind = kind_of(path)
    if kind is None or kind == "json":
        raise UserError(f"{path.name} is not a clip that can be read: choose an mp4, webm, gif or png.")
    if path.stat().st_size > limits.file_bytes:
        raise UserError(f"{path.name} is larger than {limits.file_bytes // 2**20} MB: choose a shorter clip.")
    return kind


def check_size(name: str, width: int, height: int, limits: Limits) -> None:
    """Raise UserError if pictures of `width` x `height` pixels are larger than `limits` allow."""
    if width * height > limits.pixels:
        raise UserError(f"{name} has pictures of {width} x {height}, which is too large: choose a smaller clip.")


@contextmanager
def opened_video(path: Path, kind: str, limits: Limits) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its first video stream.

    The format is given, and neither another format nor another file or address may be opened from within, so no playlist, script
    or reference is ever followed. Raises NoVideo without a stream that can be decoded, UserError where its pictures are too
    large, and Damaged for whatever ffmpeg stumbles over, here or in the `with`.
    """
    import av

    reader = FORMATS[kind]
    closed = {"protocol_whitelist": "none", "format_whitelist": av.ContainerFormat(reader, "r").name}
    try:
        with path.open("rb") as file, av.open(file, format=reader, options=closed) as container:
            stream = container.streams.video[0] if container.streams.video else None
            if stream is None or stream.codec_context is None:  # no picture, or in a codec that nobody knows
                raise NoVideo
            check_size(path.name, stream.codec_context.width, stream.codec_context.height, limits)
            stream.codec_context.options = {"max_pixels": str(limits.pixels)}
            yield container, stream
    except av.error.FFmpegError as error:
        raise Damaged from error


def upright(frame: np.ndarray, degrees: float) -> np.ndarray:
    """Telephones store the picture as the sensor sees it and a rotation, in degrees counter-clockwise, beside it."""
    return np.ascontiguousarray(np.rot90(frame, round(degrees / 90) % 4))
