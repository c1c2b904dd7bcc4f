"""Clips that a visitor brings for their motion, or to stand in a grid: kept as they came, described once, looked at through small drawings.

clips/<id>/ is a piece of a `Shelf`; its card holds what people call the clip, and what `describe` says of it.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from studio.library.pictures import safe_stem
from studio.library.shelf import Limits, Shelf, shown_name

MOST = 20
"""Clips that a visitor may keep."""

ROOM = 2 * 2**30
"""Bytes of all of a visitor's clips; what was deleted makes room before its time."""

MOST_MADE = 16
"""Drawings that are kept of one clip."""

SUFFIXES = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".gif", ".png", ".apng")


@dataclass(frozen=True)
class Clip:
    """One clip on disk.

    Attributes:
        id: unguessable name of its folder.
        file: name of the file in it.
        name: what it was called by whoever brought it.
        seconds, width, height, fps, frames: as in `pipelines.video.excerpt.Description`.
        example: what it is a copy of: a file of `assets/examples`, or "<job>/<file>" of what was made here; else "".
        words: what it shows, where that is known: the caption of an example, the words of what was made here; else "".
    """

    id: str
    file: str
    name: str
    seconds: float
    width: int
    height: int
    fps: float
    frames: int
    example: str = ""
    words: str = ""

    @property
    def source(self) -> str:
        """Its name in requests."""
        return f"clips/{self.id}/{self.file}"

    def to_json(self) -> dict[str, Any]:
        """As the page reads it."""
        return {key: value for key, value in asdict(self).items() if key != "file"} | {"source": self.source}


class Clips(Shelf[Clip]):
    """The clips of one visitor in `folder`."""

    kind = Clip
    called = "source clips"
    unknown = "This clip is no longer here: add it again."

    def limits(self) -> Limits:
        return Limits(MOST, ROOM, MOST_MADE)

    def add(self, file: Path, name: str, example: str = "", words: str = "") -> Clip:
        """Keep a copy of the clip in `file`, called `name`. Raises UserError, and keeps nothing, for what is no clip or too much."""
        from pipelines.video.excerpt import describe
        from pipelines.video.metadata import prompt_of

        def put(folder: Path, clip_id: str) -> Clip:
            kept = folder / _file_name(name)
            shutil.copyfile(file, kept)
            found = describe(kept)
            facts = (found.seconds, found.width, found.height, found.fps, found.frames)
            return Clip(clip_id, kept.name, shown_name(name, kept.name), *facts, example, words or prompt_of(kept))

        return self._keep(file.stat().st_size, put)


def _file_name(name: str) -> str:
    """A name that no file system trips over, still like the one it came with, for sentences that name the file."""
    suffix = Path(name).suffix.lower()
    return safe_stem(name, "clip") + (suffix if suffix in SUFFIXES else ".clip")
