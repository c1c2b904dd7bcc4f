"""Frames to a file: H.264 mp4 for players and browsers, gif, and png (animated when there is more than one frame)."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipelines.errors import UserError
from pipelines.requests import Request

SUFFIXES = (".mp4", ".gif", ".png")
GENERATED = "AI-generated (IPTC digital source type: trainedAlgorithmicMedia)"
"""Said in every file that a request made."""

# Constant rate factor by picture area: detail is a larger share of a small picture, and its file is small anyway.
QUALITY = ((256 * 256, "8"), (640 * 480, "13"), (2**62, "17"))


def write_clip(path: str | Path, frames: np.ndarray, fps: int, request: Request | None = None) -> Path:
    """Write `frames`, with `request` in the file's metadata; the file appears under its name only when it is whole.

    Args:
        path: the suffix chooses the kind. mp4: H.264, yuv420p in BT.709, index first; an odd width or height gets one more
            column or row, a repetition of the last. gif: one palette per frame. png: lossless; an animated PNG for a clip.
        frames: (T, H, W, 3) uint8 RGB, T >= 1.
        fps: frames per second, 1 or more; gif rounds each frame's time to 1/100 s without drifting.
        request: travels as JSON in the comment field; `read_request` gives it back. A file with a request says that it is AI-generated.

    Raises UserError when the suffix is unknown or the file cannot be written there.
    """
    path = Path(path)
    writer = _writer(path)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not frames.size:
        raise ValueError(f"frames must be (T, H, W, 3) uint8, not {frames.shape} {frames.dtype}")
    part = path.with_name(f".{path.name[:80]}.{uuid.uuid4().hex[:8]}.part")
    try:
        writer(part, np.ascontiguousarray(frames), max(1, fps), request.to_json() if request else "")
        os.replace(part, path)
    except _failures() as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}): choose another place.") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _writer(path: Path) -> Callable[[Path, np.ndarray, int, str], None]:
    writers = {".mp4": _write_mp4, ".gif": _write_gif, ".png": _write_png}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise UserError(f"A clip cannot be written as {path.name[:80]!r}: use a name that ends in {', '.join(SUFFIXES)}.")
    return writer


def _write_mp4(path: Path, frames: np.ndarray, fps: int, comment: str) -> None:
    import av
    from av.video.reformatter import ColorRange, Colorspace

    frames = _even(frames)
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        if comment:
            container.metadata.update(comment=comment, description=GENERATED)
        stream = container.add_stream("libx264", rate=fps, options=_encoder_options(frames))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def _failures() -> tuple[type[Exception], ...]:
    """What writing may raise: the system's errors and, where av is loaded, the encoder's."""
    av = sys.modules.get("av")
    return (OSError, av.error.FFmpegError) if av else (OSError,)


def _encoder_options(frames: np.ndarray) -> dict[str, str]:
    """Quality by size, a key frame every twelve frames so that a player can seek, and the colour space in the stream."""
    area = frames.shape[1] * frames.shape[2]
    crf = next(value for limit, value in QUALITY if area <= limit)
    colours = "colorprim=bt709:transfer=bt709:colormatrix=bt709:fullrange=off"
    return {"crf": crf, "preset": "medium", "g": "12", "x264-params": colours}


def _even(frames: np.ndarray) -> np.ndarray:
    """yuv420p halves both sides, so they must be even."""
    height, width = frames.shape[1:3]
    return np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _write_gif(path: Path, frames: np.ndarray, fps: int, comment: str) -> None:
    from PIL import Image

    ends = np.round(np.arange(len(frames) + 1) * 100 / fps).astype(int)  # 1/100 s
    times = [int(time) * 10 for time in np.diff(ends)]
    pictures = [Image.fromarray(frame).quantize(256, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames]
    extra = {"comment": comment.encode()} if comment else {}
    pictures[0].save(path, "GIF", save_all=True, append_images=pictures[1:], duration=times, loop=0, **extra)


def _write_png(path: Path, frames: np.ndarray, fps: int, comment: str) -> None:
    from PIL import Image, PngImagePlugin

    text = PngImagePlugin.PngInfo()
    if comment:
        text.add_text("comment", comment)
        text.add_text("Description", GENERATED)
    pictures = [Image.fromarray(frame) for frame in frames]
    several = {"save_all": True, "append_images": pictures[1:], "duration": 1000 / fps, "loop": 0} if len(frames) > 1 else {}
    pictures[0].save(path, "PNG", pnginfo=text, **several)
