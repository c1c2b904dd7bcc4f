"""`Jobs`: the queue that the page talks to."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pipelines.methods  # noqa: F401  (registers the requests that stored jobs are made of)
from pipelines.errors import UserError
from pipelines.requests import Request
from studio.jobs.desk import Desk
from studio.jobs.drawings import Wanted
from studio.jobs.files import CLIP, POSTER
from studio.jobs.job import Entry, Job, request_of
from studio.jobs.ledger import Ledger
from studio.jobs.order import moved
from studio.jobs.results import exported, joined, playing_seconds, source_clip
from studio.jobs.sentences import sentence
from studio.jobs.shots import FILE as SHOT
from studio.jobs.shown import NO_SUCH, Shown, curves_of, index_of, matches_of
from studio.jobs.worker import Run, Worker

UNDO_SECONDS = 600.0
NO_CLIP = "This job has no clip; run it again to make one."


class Jobs:
    """Persistent jobs, run in a fair order by one worker thread per device.

    Every call names its owner; an id that is unknown and one that is somebody else's give the same UserError.
    All methods may be called from any thread and return at once, except `preview`, `seen`, `export`, `source` and `film`, which draw,
    and `steps`, `matches` and `curves`, which may read a file.

    Args:
        root: folder of the database and the job folders; made if missing.
        run: what runs a request (a generator function), or one such per device.
        per_visitor_limit: jobs that one visitor may have waiting, the running one included.
        total_limit: jobs that all visitors together may have waiting.
        undo_seconds: how long a deleted job can be brought back.

    Raises:
        UserError: `root` cannot be written, or another studio is using it.
    """

    def __init__(
        self,
        root: Path,
        run: Run | Sequence[Run],
        per_visitor_limit: int = 10,
        total_limit: int = 200,
        undo_seconds: float = UNDO_SECONDS,
    ) -> None:
        self.per_visitor_limit, self.total_limit, self.undo_seconds = per_visitor_limit, total_limit, undo_seconds
        self._runs = [run] if callable(run) else list(run)
        self._ledger = Ledger(Path(root))
        self._ledger.purge(undo_seconds)
        self._workers: list[Worker] = []

    def start(self) -> None:
        """Start the workers; does nothing if they are at work."""
        if not self._workers:
            self._workers = [Worker(Desk(self._ledger, self.undo_seconds), run, f"jobs-{n}") for n, run in enumerate(self._runs)]
            for worker in self._workers:
                worker.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Send the workers home within `timeout` seconds. A running job ends as interrupted, waiting ones stay queued."""
        with self._ledger.changed:
            self._ledger.open = False
            for entry in self._ledger.waiting():
                entry.wanted = entry.wanted and entry.job.state != "running"
            self._ledger.changed.notify_all()
        deadline = time.monotonic() + timeout
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        self._ledger.close()

    def submit(self, owner: str, request: Request) -> str:
        """Queue a request and return the job's id; UserError when too many wait already or the disk refuses."""
        with self._ledger.changed:
            self._check_room(owner)
            job = Job(secrets.token_urlsafe(16), request.method, request.model_dump(mode="json"), created=time.time())
            last = max((entry.rank for entry in self._ledger.entries.values()), default=0.0)
            try:
                self._ledger.add(Entry(job, owner, last + 1.0))
            except (OSError, sqlite3.Error) as error:
                raise UserError(sentence(error, job.id[:6])) from error
            return job.id

    def get(self, owner: str, job_id: str) -> Job:
        """One job as it is now."""
        with self._ledger.changed:
            return self._snapshot(self._ledger.find(owner, job_id), self._positions())

    def list(self, owner: str) -> list[Job]:
        """All jobs of a visitor, newest first."""
        with self._ledger.changed:
            positions = self._positions()
            mine = [entry for entry in self._ledger.entries.values() if entry.owner == owner and entry.deleted is None]
            mine.sort(key=lambda entry: (entry.job.created, entry.rank), reverse=True)
            return [self._snapshot(entry, positions) for entry in mine]

    def cancel(self, owner: str, job_id: str) -> None:
        """Stop a running job at its next event or take a queued one out of the queue; nothing happens to a finished one."""
        with self._ledger.changed:
            self._cancel(self._ledger.find(owner, job_id))

    def retry(self, owner: str, job_id: str) -> str:
        """Queue the same request again as a new job and return its id."""
        with self._ledger.changed:
            return self.submit(owner, request_of(self._ledger.find(owner, job_id).job))

    def delete(self, owner: str, job_id: str) -> None:
        """Take a job out of sight, stopping it if it runs; `undo_delete` brings it back for `undo_seconds`."""
        with self._ledger.changed:
            entry = self._ledger.find(owner, job_id)
            if entry.job.state == "running":
                self._cancel(entry)
            entry.deleted = time.time()
            self._ledger.save(entry)
            self._ledger.purge(self.undo_seconds)

    def undo_delete(self, owner: str, job_id: str) -> None:
        """Bring a deleted job back as it was; one that was still queued takes its place again."""
        with self._ledger.changed:
            entry = self._ledger.find(owner, job_id, deleted=True)
            if entry.deleted is not None and entry.job.state == "queued":
                self._check_room(owner)
            entry.deleted = None
            self._ledger.save(entry)
            self._ledger.changed.notify_all()

    def move(self, owner: str, job_id: str, position: int) -> None:
        """Put a queued job at `position` (0 = first) among the visitor's own queued jobs."""
        with self._ledger.changed:
            if self._ledger.find(owner, job_id).job.state != "queued":
                raise UserError("Only a job that is still waiting can be moved.")
            mine = {entry.job.id: entry.rank for entry in self._ledger.waiting(owner) if entry.job.state == "queued"}
            for moved_id, rank in moved(mine, job_id, position).items():
                self._ledger.entries[moved_id].rank = rank
                self._ledger.save(self._ledger.entries[moved_id])

    def preview(self, owner: str, job_id: str, name: str | None = None) -> bytes | None:
        """The latest preview (of that name) as animated WebP, or None. Drawn when first asked for (tens of milliseconds)."""
        with self._ledger.changed:
            self._ledger.find(owner, job_id)
        return self._ledger.previews.draw(job_id, name)

    def steps(self, owner: str, job_id: str) -> dict[str, Any]:
        """Which pictures of which steps there are (see `shown.index_of`); UserError when they are not, or no longer, kept."""
        return index_of(self._shown(owner, job_id).names)

    def seen(self, owner: str, job_id: str, wanted: Wanted) -> bytes:
        """A picture of a step as WebP; UserError when there is none."""
        shown = self._shown(owner, job_id)
        return self._ledger.drawings.draw(job_id, shown, wanted, playing_seconds(self.get(owner, job_id).request))

    def matches(self, owner: str, job_id: str, step: int) -> dict[str, Any]:
        """What went where at a step (see `shown.matches_of`); UserError when nothing was matched then."""
        return matches_of(self._shown(owner, job_id), step)

    def curves(self, owner: str, job_id: str) -> dict[str, list[float | None]]:
        """The curves that a job has shown (see `shown.curves_of`); UserError when they are not, or no longer, kept."""
        return curves_of(self._shown(owner, job_id))

    def clip(self, owner: str, job_id: str) -> Path:
        """The finished clip; UserError when there is none."""
        return self._file(owner, job_id, CLIP)

    def poster(self, owner: str, job_id: str) -> Path:
        """The first frame of the clip, or of the first shot that was done, as WebP for the screen; UserError when there is none."""
        path = self._folder(owner, job_id) / POSTER
        if not path.is_file():
            raise UserError(NO_CLIP)
        return path

    def export(self, owner: str, job_id: str, suffix: str) -> Path:
        """The finished clip as ".gif" or ".png", made at the first call (which takes a moment: not for an event loop)."""
        return exported(self.clip(owner, job_id), suffix)

    def source(self, owner: str, job_id: str) -> Path:
        """What a finished clip's motion is from, as an mp4 made at the first call; UserError when there is none."""
        clip = self.clip(owner, job_id)
        return source_clip(clip.parent, self._shown(owner, job_id), self._fps(owner, job_id))

    def shot(self, owner: str, job_id: str, file: str) -> Path:
        """A part that is a clip of its own, "shot-3.mp4" or "shot-3-alone.mp4" of a board, "cell-top-left.mp4" of a grid; UserError
        when there is none.
        """
        path = self._folder(owner, job_id) / file
        if not SHOT.fullmatch(file) or not path.is_file():
            raise UserError("There is no such part of this clip; draw it again to make one.")
        return path

    def film(self, owner: str, job_id: str, cut: Sequence[tuple[str, str]]) -> Path:
        """One film of shots, (job, file) each, of any of the visitor's boards, made at the first call; UserError for none."""
        if not cut:
            raise UserError(NO_SUCH)
        shots = [self.shot(owner, *one) for one in cut]
        return joined(self._folder(owner, job_id), shots, self._fps(owner, job_id))

    def _folder(self, owner: str, job_id: str) -> Path:
        with self._ledger.changed:
            self._ledger.find(owner, job_id)
        return self._ledger.files.folder(job_id)

    def _fps(self, owner: str, job_id: str) -> int:
        return int(self.get(owner, job_id).request.get("fps") or 8)

    def _shown(self, owner: str, job_id: str) -> Shown:
        self._folder(owner, job_id)  # refuses what is somebody else's
        return self._ledger.records.look(job_id)

    def _check_room(self, owner: str) -> None:
        if not self._ledger.open:
            raise UserError("The studio is shutting down; submit this again once it is back.")
        if len(self._ledger.waiting(owner)) >= self.per_visitor_limit:
            raise UserError(f"You have {self.per_visitor_limit} jobs waiting already; wait for one to finish or cancel one.")
        if len(self._ledger.waiting()) >= self.total_limit:
            raise UserError("The studio's queue is full; try again in a few minutes.")

    def _positions(self) -> dict[str, int]:
        entries = self._ledger.entries.values()
        running = any(entry.job.state == "running" for entry in entries)
        return {entry.job.id: place + running for place, entry in enumerate(self._ledger.turns.order(entries))}

    def _snapshot(self, entry: Entry, positions: dict[str, int]) -> Job:
        version, names = self._ledger.previews.state(entry.job.id)
        position = 0 if entry.job.state == "running" else positions.get(entry.job.id, -1)
        return replace(entry.job, position=position, preview_version=version, previews=names)

    def _cancel(self, entry: Entry) -> None:
        if entry.job.state == "running":
            entry.wanted = False
            entry.job = replace(entry.job, stopping=True, phase="stopping", seconds_left=None)
        elif entry.job.state == "queued":
            self._ledger.end(entry, state="cancelled")

    def _file(self, owner: str, job_id: str, name: str) -> Path:
        with self._ledger.changed:
            job = self._ledger.find(owner, job_id).job
        path = self._ledger.files.folder(job_id) / name
        if not job.has_clip or not path.is_file():
            raise UserError(NO_CLIP)
        return path
