"""Pictures of records for the page: one is drawn at a time, and those of ended jobs are kept for the next look."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from pipelines.errors import UserError
from pipelines.events import Preview
from studio.inspect import animate, coloured, sheet, still
from studio.jobs.shown import NO_SUCH, Shown, index_of

ROOM = 24 * 2**20  # bytes of drawn pictures


@dataclass(frozen=True)
class Wanted:
    """A picture that somebody asks for.

    Attributes:
        name, step: of the preview.
        frame: a single one, from 0; "all" for every frame side by side; None for a picture that plays.
        side: pixels of a frame's longer side.
    """

    name: str
    step: int
    frame: int | Literal["all"] | None
    side: int


class Drawings:
    """Draws, and remembers the last drawings. Safe to call from any thread; takes tens of milliseconds.

    Args:
        drawing: held while drawing, which competes with the run for the processor.
        room: bytes of pictures that are remembered.
    """

    def __init__(self, drawing: threading.Lock, room: int = ROOM) -> None:
        self.room = room
        self._drawing = drawing
        self._kept: OrderedDict[tuple[str, Wanted], bytes] = OrderedDict()
        self._bytes = 0

    def draw(self, job_id: str, shown: Shown, wanted: Wanted, seconds: float) -> bytes:
        """A picture as WebP; one that plays takes `seconds`. Raises UserError if there is none."""
        with self._drawing:
            key = (job_id, wanted)
            if shown.final and key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            drawn = picture_of(shown, wanted, seconds)
            if shown.final:
                self._keep(key, drawn)
            return drawn

    def _keep(self, key: tuple[str, Wanted], drawn: bytes) -> None:
        self._kept[key] = drawn
        self._bytes += len(drawn)
        while self._bytes > self.room:
            _, old = self._kept.popitem(last=False)
            self._bytes -= len(old)


def picture_of(shown: Shown, wanted: Wanted, seconds: float) -> bytes:
    """Draw one picture of a record as WebP; raises UserError if there is none."""
    preview = shown.preview(wanted.name, wanted.step)
    frames = coloured(preview, wanted.side)
    crisp = _of_tokens(shown, preview, frames.shape[1:3])
    if wanted.frame is None:
        return animate(frames, seconds, wanted.side, crisp)
    if wanted.frame == "all":
        return sheet(frames, wanted.side, crisp)
    if not 0 <= wanted.frame < len(frames):
        raise UserError(NO_SUCH)
    return still(frames[wanted.frame], wanted.side, crisp)


def _of_tokens(shown: Shown, preview: Preview, size: tuple[int, int]) -> bool:
    """Whether a picture has one pixel per token, each of which is to be seen as a square."""
    grid = index_of(shown.names)["grid"]
    return preview.kind in ("mask", "map", "flow") or (grid is not None and tuple(grid[1:]) == size)
