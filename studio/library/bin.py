"""Deleting with a way back: what is deleted lies in a folder beside the others until it is too old."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from pipelines.errors import UserError

UNDO_SECONDS = 600.0


class Bin:
    """The deleted files and folders of one place.

    Args:
        place: the folder that they are deleted from.
        undo_seconds: how long each can be brought back.
    """

    def __init__(self, place: Path, undo_seconds: float = UNDO_SECONDS) -> None:
        self.place, self.undo_seconds = place, undo_seconds
        self.folder = place / ".deleted"

    def put(self, name: str) -> None:
        """Take `name` out of sight; one of that name that was deleted before is gone for good."""
        self.purge()
        self.folder.mkdir(parents=True, exist_ok=True)
        _remove(self.folder / name)
        os.replace(self.place / name, self.folder / name)
        os.utime(self.folder / name)  # counts from now on

    def back(self, name: str) -> None:
        """Undo the last deletion of `name`; raises UserError if it is too late or the name is taken."""
        if not (self.folder / name).exists():
            raise UserError("This was deleted too long ago to be brought back.")
        if (self.place / name).exists():
            raise UserError("There is another one of that name now: rename it first, then undo again.")
        os.replace(self.folder / name, self.place / name)

    def purge(self) -> None:
        """Remove for good what is too old."""
        horizon = time.time() - self.undo_seconds
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if path.stat().st_mtime < horizon:
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
