"""Clips that a visitor brings for their motion: kept as they came, described once, looked at through small drawings.

clips/<id>/<name>      as it was sent
clips/<id>/card.json   what people call it, and what `describe` says of it
clips/<id>/made/       drawings of it, made when the page asks for them; those not looked at for longest make room
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import UserError
from studio.library.bin import Bin
from studio.library.pictures import safe_stem

MOST = 20
"""Clips that a visitor may keep."""

ROOM = 2 * 2**30
"""Bytes of all of a visitor's clips; what was deleted makes room before its time."""

MOST_MADE = 16
"""Drawings that are kept of one clip."""

SUFFIXES = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".gif", ".png", ".apng")
CARD, MADE = "card.json", "made"
FRESH_SECONDS = 3600.0
UNKNOWN = "This clip is no longer here: add it again."
_ID = re.compile(r"[A-Za-z0-9_-]{11}")  # secrets.token_urlsafe(8)


@dataclass(frozen=True)
class Clip:
    """One clip on disk.

    Attributes:
        id: unguessable name of its folder.
        file: name of the file in it.
        name: what it was called by whoever brought it.
        seconds, width, height, fps, frames: as in `pipelines.video.excerpt.Description`.
        example: the file of `assets/examples` that it is a copy of, or "".
        words: what it shows, where that is known: the caption of an example, the prompt of a clip that was made here; else "".
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


class Clips:
    """The clips of one visitor in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Clip]:
        """Every clip, the newest first; one that cannot be read is left out."""
        cards = [card for card in self.folder.glob(f"*/{CARD}") if _ID.fullmatch(card.parent.name)]
        found = [_read(card) for card in sorted(cards, key=lambda card: card.stat().st_mtime, reverse=True)]
        return [clip for clip in found if clip]

    def find(self, clip_id: str) -> Clip:
        """The clip of that id; raises UserError if there is none."""
        clip = _read(self.folder / clip_id / CARD) if _ID.fullmatch(clip_id) else None
        if clip is None:
            raise UserError(UNKNOWN)
        return clip

    def path(self, clip: Clip) -> Path:
        """Where the clip itself is."""
        return self.folder / clip.id / clip.file

    def add(self, file: Path, name: str, example: str = "", words: str = "") -> Clip:
        """Keep a copy of the clip in `file`, called `name`. Raises UserError, and keeps nothing, for what is no clip or too much."""
        from pipelines.video.excerpt import describe
        from pipelines.video.metadata import prompt_of

        self._make_room(file.stat().st_size)
        clip_id = secrets.token_urlsafe(8)
        fresh = self.folder / f".new-{clip_id}"
        fresh.mkdir(parents=True)
        try:
            kept = fresh / _file_name(name)
            shutil.copyfile(file, kept)
            found = describe(kept)
            shown = " ".join(name.replace("\\", "/").rsplit("/", 1)[-1].split())[:120] or kept.name
            facts = (found.seconds, found.width, found.height, found.fps, found.frames)
            clip = Clip(clip_id, kept.name, shown, *facts, example, words or prompt_of(kept))
            (fresh / CARD).write_text(json.dumps(asdict(clip)), encoding="utf-8")
            os.replace(fresh, self.folder / clip_id)
            return clip
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def delete(self, clip_id: str) -> None:
        """Take a clip out of sight; `undo_delete` brings it back for ten minutes."""
        self.find(clip_id)
        Bin(self.folder).put(clip_id)

    def undo_delete(self, clip_id: str) -> None:
        """Bring a deleted clip back."""
        if not _ID.fullmatch(clip_id):
            raise UserError(UNKNOWN)
        if len(self.all()) >= MOST:
            raise UserError(_too_many())
        Bin(self.folder).back(clip_id)

    def made(self, clip: Clip, name: str, make: Callable[[Path, Path], None]) -> Path:
        """The drawing called `name` of a clip; `make(clip's file, where to write)` is called if there is none yet."""
        target = self.folder / clip.id / MADE / name
        part = target.with_name(f".{secrets.token_hex(4)}-{name}")
        try:
            if target.is_file():
                os.utime(target)  # looked at just now
                return target
            target.parent.mkdir(exist_ok=True)
            make(self.path(clip), part)
            os.replace(part, target)
            _forget_oldest(target.parent)
        except FileNotFoundError as error:  # deleted meanwhile
            raise UserError(UNKNOWN) from error
        finally:
            part.unlink(missing_ok=True)
        return target

    def _make_room(self, more: int) -> None:
        """Raise UserError if `more` bytes, or one more clip, are too much."""
        clips = self.all()
        if len(clips) >= MOST:
            raise UserError(_too_many())
        if more + sum(self.path(clip).stat().st_size for clip in clips) > ROOM:
            raise UserError(f"Your source clips take up {ROOM // 2**30} GB already: delete one first.")
        deleted = Bin(self.folder)
        deleted.purge()
        gone = sorted(deleted.folder.iterdir(), key=lambda path: path.stat().st_mtime) if deleted.folder.is_dir() else []
        while gone and len(clips) + len(gone) >= MOST:
            shutil.rmtree(gone.pop(0), ignore_errors=True)
        for left in self.folder.glob(".new-*"):  # by a studio that ended meanwhile
            if left.stat().st_mtime < time.time() - FRESH_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _too_many() -> str:
    return f"You keep {MOST} source clips already: delete one first."


def _file_name(name: str) -> str:
    """A name that no file system trips over, still like the one it came with, for sentences that name the file."""
    suffix = Path(name).suffix.lower()
    return safe_stem(name, "clip") + (suffix if suffix in SUFFIXES else ".clip")


def _read(card: Path) -> Clip | None:
    try:
        clip = Clip(**json.loads(card.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return clip if clip.id == card.parent.name and (card.parent / clip.file).is_file() else None


def _forget_oldest(folder: Path) -> None:
    files = sorted((file for file in folder.iterdir() if not file.name.startswith(".")), key=lambda file: file.stat().st_mtime)
    for file in files[: max(0, len(files) - MOST_MADE)]:
        file.unlink(missing_ok=True)
