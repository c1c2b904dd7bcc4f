"""What a finished run leaves in the job's folder and in its row."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.errors import UserError
from pipelines.events import Preview, Result
from pipelines.requests import Request
from pipelines.video import read_clip, read_request, write_clip
from studio.inspect import SCREEN, still
from studio.jobs.files import CLIP, POSTER, write_atomically
from studio.jobs.films import film_name, join
from studio.jobs.shots import keep_shot, number_of
from studio.jobs.shown import NO_SUCH, SOURCE, Shown

_exporting = threading.Lock()


def save_result(folder: Path, result: Result) -> dict[str, Any]:
    """Write clip and poster; returns what the job's row should say. Raises OSError when the disk refuses."""
    changes: dict[str, Any] = {"notes": tuple(result.notes), "values": plain(result.values)}
    seed = getattr(result.request, "seed", None)
    if seed is not None and seed >= 0:
        changes["seed"] = int(seed)
    if result.frames is not None:
        folder.mkdir(exist_ok=True)
        with _plainly():
            write_clip(folder / CLIP, result.frames, result.fps, result.request)
        write_atomically(folder / POSTER, still(result.frames[0], SCREEN))
        changes["has_clip"] = True
    return changes


def save_shot(path: Path, preview: Preview, request: Request) -> Preview:
    """Write a finished shot, and the poster if it is the first; returns what the record keeps. Raises OSError when the disk refuses."""
    with _plainly():
        shown = keep_shot(path, preview, getattr(request, "fps", 8), request)
    poster = path.with_name(POSTER)
    if number_of(path.name) is not None and not poster.is_file():
        write_atomically(poster, still(shown.array[0], SCREEN))
    return shown


def joined(folder: Path, shots: Sequence[Path], fps: int) -> Path:
    """The film of these shots in a job's folder, which keeps one such film; raises UserError for shots that do not fit together."""
    made = folder / film_name(shots)
    with _exporting, _plainly():
        if not made.is_file():
            for old in folder.glob("film-*.mp4"):
                old.unlink()
            partial = folder / ".film.part"
            try:
                join(partial, shots, fps)
                partial.replace(made)
            finally:
                partial.unlink(missing_ok=True)
    return made


def exported(clip: Path, suffix: str) -> Path:
    """The clip in another format, beside it; made once, one conversion at a time."""
    made = clip.with_suffix(suffix)
    with _exporting, _plainly():
        if not made.is_file():
            frames, fps = read_clip(clip)
            write_clip(made, frames, fps, read_request(clip))
    return made


def source_clip(folder: Path, shown: Shown, fps: int) -> Path:
    """The part of the source that a clip's motion is from, as it was read, to be played beside it; made once.

    Raises UserError where there is none.
    """
    made = folder / "source.mp4"
    with _exporting, _plainly():
        if not made.is_file():
            steps = [named.steps[0] for named in shown.names if named.name == SOURCE and named.kind == "frames"]
            if not steps:
                raise UserError(NO_SUCH)
            write_clip(made, shown.preview(SOURCE, steps[0]).array, fps)
    return made


@contextmanager
def _plainly() -> Iterator[None]:
    """The disk's own error instead of a sentence about a path, which is none of a visitor's business."""
    try:
        yield
    except UserError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: numpy scalars and arrays become numbers and lists, what is not finite becomes None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def playing_seconds(request: Mapping[str, Any]) -> float:
    """How long the clip of a request plays, so that a preview of fewer frames keeps its pace; 2 s when it does not say."""
    frames, fps = request.get("frames"), request.get("fps")
    return max(0.1, frames / fps) if frames and fps else 2.0
