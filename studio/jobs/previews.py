"""The latest preview pictures of each job: in memory only, throttled, and drawn only when somebody looks."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from pipelines.events import Preview
from studio.inspect import picture

INTERVAL = 0.25  # seconds between two versions of a picture: faster than that nobody sees
KEPT = 32  # jobs whose last previews stay, the newest


@dataclass
class _Picture:
    """The newest event, and the one that is shown until `INTERVAL` has passed."""

    latest: Preview
    seconds: float
    shown: Preview | None = None
    shown_at: float = 0.0
    drawn: bytes | None = None


@dataclass
class _Shelf:
    version: int = 0
    pictures: OrderedDict[str, _Picture] = field(default_factory=OrderedDict)


class Previews:
    """Previews by job id and name. Safe to call from any thread.

    Args:
        interval: seconds for which a picture stays before a newer one takes its place.
        drawing: held while drawing, which competes with the run for the processor; None: a lock of its own.
    """

    def __init__(self, interval: float = INTERVAL, drawing: threading.Lock | None = None) -> None:
        self.interval = interval
        self._shelves: OrderedDict[str, _Shelf] = OrderedDict()
        self._lock = threading.Lock()
        self._drawing = drawing or threading.Lock()

    def put(self, job_id: str, preview: Preview, seconds: float) -> None:
        """Keep a preview of a clip that lasts `seconds`."""
        with self._lock:
            shelf = self._shelves.setdefault(job_id, _Shelf())
            self._shelves.move_to_end(job_id)
            picture = shelf.pictures.setdefault(preview.name, _Picture(preview, seconds))
            picture.latest = preview
            shelf.pictures.move_to_end(preview.name)
            while len(self._shelves) > KEPT:
                self._shelves.popitem(last=False)

    def state(self, job_id: str) -> tuple[int, tuple[str, ...]]:
        """The version, which grows with every new picture, and the names of the pictures, the newest last."""
        with self._lock:
            shelf = self._shelves.get(job_id)
            if shelf is None:
                return 0, ()
            for picture in shelf.pictures.values():
                self._turn(shelf, picture)
            return shelf.version, tuple(shelf.pictures)

    def draw(self, job_id: str, name: str | None = None) -> bytes | None:
        """A picture as animated WebP sized for the screen, the newest if no name is given; None if there is none."""
        self.state(job_id)
        with self._drawing:
            with self._lock:
                shelf = self._shelves.get(job_id)
                if shelf is None or (name is not None and name not in shelf.pictures):
                    return None
                found = shelf.pictures[name or next(reversed(shelf.pictures))]
                event, drawn = found.shown, found.drawn
            if drawn is None:
                drawn = picture(event, found.seconds)
                with self._lock:
                    found.drawn = drawn if found.shown is event else None
            return drawn

    def drop(self, job_id: str) -> None:
        with self._lock:
            self._shelves.pop(job_id, None)

    def _turn(self, shelf: _Shelf, picture: _Picture) -> None:
        """Let the latest event be the shown one if the shown one has had its time."""
        now = time.monotonic()
        if picture.shown is picture.latest or (picture.shown is not None and now - picture.shown_at < self.interval):
            return
        picture.shown, picture.shown_at, picture.drawn = picture.latest, now, None
        shelf.version += 1
