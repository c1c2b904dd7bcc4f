"""What a finished run leaves in the job's folder and in its row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.events import Result
from studio.inspect import SCREEN, still
from studio.jobs.files import CLIP, POSTER, write_atomically


def save_result(folder: Path, result: Result) -> dict[str, Any]:
    """Write clip and poster; returns what the job's row should say. Raises OSError when the disk refuses."""
    changes: dict[str, Any] = {"notes": tuple(result.notes), "values": plain(result.values)}
    seed = getattr(result.request, "seed", None)
    if seed is not None and seed >= 0:
        changes["seed"] = int(seed)
    if result.frames is not None:
        from pipelines.video import write_clip

        folder.mkdir(exist_ok=True)
        write_clip(folder / CLIP, result.frames, result.fps, result.request)
        write_atomically(folder / POSTER, still(result.frames[0], SCREEN))
        changes["has_clip"] = True
    return changes


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values that JSON can hold: numpy scalars and arrays become numbers and lists."""
    return {str(name): value.tolist() if hasattr(value, "tolist") else value for name, value in values.items()}


def playing_seconds(request: Mapping[str, Any]) -> float:
    """How long the clip of a request plays, so that a preview of fewer frames keeps its pace; 2 s when it does not say."""
    frames, fps = request.get("frames"), request.get("fps")
    return max(0.1, frames / fps) if frames and fps else 2.0
