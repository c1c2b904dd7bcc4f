"""What the page sees of a source clip: a strip of stills to cut it by, a small clip that every browser plays, and its motion."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipelines.errors import UserError
from pipelines.methods.motion_transfer.plan import crop_of
from pipelines.methods.motion_transfer.request import MotionRequest
from studio.inspect import animate, sheet, still
from studio.library.clips import Clip

STILLS = 10
STILL_SIDE = 64
PREVIEW_SIDE = 240
PREVIEW_FPS = 12
PREVIEW_SECONDS = 10.0
"""A longer clip is shown from where its part begins."""

MOTION_SIDE = 160
MOTION_FRAMES = 49
"""Tracks are searched for in at most so many pixels and frames: a visitor waits for them while moving a handle."""

SHOWN = ("tracks", "slice")


def draw_strip(clip: Clip, file: Path, target: Path) -> None:
    """STILLS square stills from the whole clip, side by side, as WebP."""
    from pipelines.video.excerpt import read_excerpt

    size = {"height": STILL_SIDE, "width": STILL_SIDE}
    if clip.seconds <= 2 * STILLS:
        frames = read_excerpt(file, fps=STILLS / max(clip.seconds, 0.01), frames=STILLS, **size)
    else:  # of a long clip each is sought, instead of decoding everything
        moments = [clip.seconds * place / STILLS for place in range(STILLS)]
        frames = np.concatenate([read_excerpt(file, start=start, fps=1, frames=1, **size) for start in moments])
    target.write_bytes(still(frames.swapaxes(0, 1).reshape(STILL_SIDE, -1, 3), STILLS * STILL_SIDE))


def draw_preview(clip: Clip, start: float, file: Path, target: Path) -> None:
    """Up to PREVIEW_SECONDS from `start` as a small H.264 mp4, whatever the clip itself is coded as."""
    from pipelines.video import write_clip
    from pipelines.video.excerpt import read_excerpt

    fps = max(1, min(PREVIEW_FPS, round(clip.fps)))
    frames = max(1, round(min(PREVIEW_SECONDS, clip.seconds - start) * fps))
    scale = min(1.0, PREVIEW_SIDE / max(clip.width, clip.height))
    height, width = (max(2, 2 * round(side * scale / 2)) for side in (clip.height, clip.width))
    write_clip(target, read_excerpt(file, start=start, fps=fps, frames=frames, height=height, width=width), fps)


def motion_request(clip: Clip, asked: Mapping[str, str]) -> MotionRequest:
    """The part of a clip that the page asks about, by the names of the request's own settings; raises UserError for nonsense."""
    names = ("start", "end", "crop", "frames", "fps", "width", "height")
    request = MotionRequest.read({name: asked[name] for name in names if name in asked} | {"source": clip.source})
    crop_of(request)
    if 0 < request.end <= request.start:
        raise UserError("The part of the clip ends before it starts: choose an end after the start.")
    scale = min(1.0, MOTION_SIDE / max(request.width, request.height))
    sides = {name: max(16, round(getattr(request, name) * scale)) for name in ("width", "height")}
    return request.model_copy(update=sides | {"frames": min(request.frames, MOTION_FRAMES)})


def motion_name(request: MotionRequest, part: str) -> str:
    """The file of a drawing of its motion."""
    settings = (request.start, request.end, request.crop, request.frames, request.fps, request.width, request.height)
    return f"{part}-{hashlib.sha256(repr(settings).encode()).hexdigest()[:16]}.webp"


def draw_motion(request: MotionRequest, file: Path, targets: Mapping[str, Path]) -> None:
    """Both drawings of the part that `request` names: its tracks, which play, and its y-t slice."""
    from pipelines.methods.motion_transfer.seen import motion_of
    from pipelines.video.excerpt import read_excerpt

    frames = read_excerpt(
        file, start=request.start, end=request.end or None, fps=request.fps, frames=request.frames, crop=crop_of(request),
        height=request.height, width=request.width,
    )  # fmt: skip
    tracks, across = (preview.array for preview in motion_of(frames).previews("source"))
    targets["tracks"].write_bytes(animate(tracks, len(tracks) / request.fps))
    targets["slice"].write_bytes(sheet(across, max(across.shape[1:3]), crisp=True))


def preview_start(clip: Clip, asked: str) -> float:
    """Where the preview begins, in tenths of a second; 0 for a clip that is shown as a whole."""
    try:
        start = float(asked or 0)
    except ValueError:
        start = 0.0
    if clip.seconds <= PREVIEW_SECONDS or not math.isfinite(start):
        return 0.0
    return max(0.0, math.floor(10 * min(start, clip.seconds - 1.0)) / 10)
