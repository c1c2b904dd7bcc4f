"""`Jobs`: the queue that the page talks to."""

from __future__ import annotations

import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pipelines.methods  # noqa: F401  (registers the requests that stored jobs are made of)
from pipelines.errors import UserError
from pipelines.events import Event, Preview, Progress, Result
from pipelines.requests import Request
from studio.jobs.database import Database
from studio.jobs.files import CLIP, POSTER, JobFiles
from studio.jobs.job import WAITING, Entry, Job
from studio.jobs.order import fair_order, moved
from studio.jobs.previews import Previews
from studio.jobs.results import playing_seconds, save_result
from studio.jobs.sentences import INTERRUPTED, NOT_YOURS, sentence
from studio.jobs.worker import Run, Worker

UNDO_SECONDS = 600.0
SAVE_SECONDS = 1.0  # how old the progress on disk may be
log = logging.getLogger("likeness.jobs")


class Jobs:
    """Persistent jobs, run in a fair order by one worker thread per device.

    Every call names its owner; an id that is unknown and one that is somebody else's give the same UserError.
    All methods may be called from any thread and return at once; reading does not touch the disk.

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
        self._files = JobFiles(Path(root))
        self._database = Database(Path(root), self._files)
        self._previews = Previews()
        self._workers: list[Worker] = []
        self._changed = threading.Condition(threading.RLock())
        self._open = True
        self._saved_at = 0.0
        self._entries = {entry.job.id: entry for entry in self._database.entries()}
        self._recover()

    # the life of the queue

    def start(self) -> None:
        """Start the workers; does nothing if they are at work."""
        if not self._workers:
            self._workers = [Worker(self, run, f"jobs-{index}") for index, run in enumerate(self._runs)]
            for worker in self._workers:
                worker.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Send the workers home within `timeout` seconds. A running job ends as interrupted, waiting ones stay queued."""
        with self._changed:
            self._open = False
            for entry in self._entries.values():
                entry.wanted = entry.wanted and entry.job.state != "running"
            self._changed.notify_all()
        deadline = time.monotonic() + timeout
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            self._database.close()

    # what a visitor asks for

    def submit(self, owner: str, request: Request) -> str:
        """Queue a request and return the job's id; UserError when the visitor or the studio has too many waiting."""
        with self._changed:
            self._check_room(owner)
            now = time.time()
            job = Job(secrets.token_urlsafe(16), request.method, request.model_dump(mode="json"), created=now)
            entry = Entry(job, owner, rank=max((e.rank for e in self._entries.values()), default=0.0) + 1.0)
            try:
                self._files.describe(entry)
                self._database.save(entry)
            except (OSError, sqlite3.Error) as error:
                self._files.remove(job.id)
                raise UserError(sentence(error, job.id[:6])) from error
            self._entries[job.id] = entry
            self._changed.notify_all()
            return job.id

    def get(self, owner: str, job_id: str) -> Job:
        """One job as it is now."""
        with self._changed:
            return self._snapshot(self._find(owner, job_id), self._positions())

    def list(self, owner: str) -> list[Job]:
        """All jobs of a visitor, newest first."""
        with self._changed:
            positions = self._positions()
            mine = [e for e in self._entries.values() if e.owner == owner and e.deleted is None]
            return [self._snapshot(e, positions) for e in sorted(mine, key=lambda e: (e.job.created, e.rank), reverse=True)]

    def cancel(self, owner: str, job_id: str) -> None:
        """Stop a running job at its next event or take a queued one out of the queue; nothing happens to a finished one."""
        with self._changed:
            self._cancel(self._find(owner, job_id))

    def retry(self, owner: str, job_id: str) -> str:
        """Queue the same request again as a new job and return its id."""
        with self._changed:
            job = self._find(owner, job_id).job
        if job.method not in Request.kinds:
            raise UserError("This version of the studio does not know the method of that job, so it cannot run it again.")
        return self.submit(owner, Request.kinds[job.method].read(job.request))

    def delete(self, owner: str, job_id: str) -> None:
        """Take a job out of sight, stopping it if it runs; `undo_delete` brings it back for `undo_seconds`."""
        with self._changed:
            entry = self._find(owner, job_id)
            if entry.job.state == "running":
                self._cancel(entry)
            entry.deleted = time.time()
            self._save(entry, lasting=True)
            self._purge()

    def undo_delete(self, owner: str, job_id: str) -> None:
        """Bring a deleted job back as it was; one that was still queued takes its place again."""
        with self._changed:
            entry = self._find(owner, job_id, deleted=True)
            if entry.deleted is not None and entry.job.state == "queued":
                self._check_room(owner)
            entry.deleted = None
            self._save(entry, lasting=True)
            self._changed.notify_all()

    def move(self, owner: str, job_id: str, position: int) -> None:
        """Put a queued job at `position` (0 = first) among the visitor's own queued jobs."""
        with self._changed:
            if self._find(owner, job_id).job.state != "queued":
                raise UserError("Only a job that is still waiting can be moved.")
            mine = {e.job.id: e.rank for e in self._waiting(owner) if e.job.state == "queued"}
            for moved_id, rank in moved(mine, job_id, position).items():
                self._entries[moved_id].rank = rank
                self._save(self._entries[moved_id], lasting=True)

    def preview(self, owner: str, job_id: str, name: str | None = None) -> bytes | None:
        """The latest preview (of that name) as animated WebP, or None. Draws it if nobody has looked at it yet."""
        with self._changed:
            self._find(owner, job_id)
        return self._previews.draw(job_id, name)

    def clip(self, owner: str, job_id: str) -> Path:
        """The finished clip; UserError when there is none."""
        return self._file(owner, job_id, CLIP)

    def poster(self, owner: str, job_id: str) -> Path:
        """The finished clip's first frame as WebP, sized for the screen; UserError when there is none."""
        return self._file(owner, job_id, POSTER)

    # what the workers report

    def take(self) -> Entry | None:
        """The next job, marked running; blocks until there is one. None when the queue has been stopped."""
        with self._changed:
            while self._open:
                waiting = fair_order(self._entries.values())
                if waiting:
                    entry = waiting[0]
                    self._change(entry, lasting=False, state="running", started=time.time(), phase="starting")
                    return entry
                self._changed.wait(timeout=30.0)
                self._purge()
            return None

    def heard(self, entry: Entry, event: Event) -> None:
        """Progress or a preview of a running job."""
        if isinstance(event, Preview):
            self._previews.put(entry.job.id, event, playing_seconds(entry.job.request))
        elif isinstance(event, Progress):
            progress = {"phase": event.phase, "step": event.step, "total": event.total, "unit": event.unit}
            with self._changed:
                entry.job = replace(entry.job, **progress, seconds_left=event.seconds_left)
                if time.monotonic() - self._saved_at > SAVE_SECONDS:
                    self._saved_at = time.monotonic()
                    self._save(entry, lasting=False)

    def finished(self, entry: Entry, result: Result) -> None:
        """Save what came out, then mark the job done."""
        self.heard(entry, Progress("saving", entry.job.total, entry.job.total))
        made = save_result(self._files.folder(entry.job.id), result)
        self._end(entry, state="done", **made)
        self._previews.drop(entry.job.id)

    def failed(self, entry: Entry, error: str) -> None:
        """The job cannot be finished; `error` is the sentence that says why."""
        self._end(entry, state="failed", error=error)

    def given_up(self, entry: Entry) -> None:
        """The run was closed: by its owner, or because the studio is stopping."""
        if entry.job.stopping:
            self._end(entry, state="cancelled")
        else:
            self._end(entry, state="interrupted", error=INTERRUPTED)

    # below: always under the lock

    def _recover(self) -> None:
        """After a start: what was running when the last process ended is interrupted; the queue stays."""
        for entry in self._entries.values():
            if entry.job.state == "running":
                self._files.tidy(entry.job.id)
                self._change(entry, state="interrupted", error=INTERRUPTED, finished=time.time())
        self._purge()

    def _find(self, owner: str, job_id: str, deleted: bool = False) -> Entry:
        entry = self._entries.get(job_id)
        if entry is None or entry.owner != owner or (entry.deleted is not None and not deleted):
            raise UserError(NOT_YOURS)
        return entry

    def _waiting(self, owner: str | None = None) -> list[Entry]:
        entries = (e for e in self._entries.values() if e.deleted is None and e.job.state in WAITING)
        return [e for e in entries if owner is None or e.owner == owner]

    def _check_room(self, owner: str) -> None:
        if not self._open:
            raise UserError("The studio is shutting down; submit this again once it is back.")
        if len(self._waiting(owner)) >= self.per_visitor_limit:
            raise UserError(f"You have {self.per_visitor_limit} jobs waiting already; wait for one to finish or cancel one.")
        if len(self._waiting()) >= self.total_limit:
            raise UserError("The studio's queue is full; try again in a few minutes.")

    def _positions(self) -> dict[str, int]:
        ahead = any(e.job.state == "running" for e in self._waiting())
        return {e.job.id: place + (1 if ahead else 0) for place, e in enumerate(fair_order(self._entries.values()))}

    def _snapshot(self, entry: Entry, positions: dict[str, int]) -> Job:
        version, names = self._previews.state(entry.job.id)
        position = 0 if entry.job.state == "running" else positions.get(entry.job.id, -1)
        return replace(entry.job, position=position, preview_version=version, previews=names)

    def _cancel(self, entry: Entry) -> None:
        if entry.job.state == "running":
            entry.wanted = False
            entry.job = replace(entry.job, stopping=True, phase="stopping", seconds_left=None)
        elif entry.job.state == "queued":
            self._end(entry, state="cancelled")

    def _file(self, owner: str, job_id: str, name: str) -> Path:
        with self._changed:
            job = self._find(owner, job_id).job
        path = self._files.folder(job_id) / name
        if not job.has_clip or not path.is_file():
            raise UserError("This job has no clip; run it again to make one.")
        return path

    def _end(self, entry: Entry, **changes: Any) -> None:
        with self._changed:
            self._change(entry, finished=time.time(), seconds_left=None, stopping=False, **changes)

    def _change(self, entry: Entry, lasting: bool = True, **changes: Any) -> None:
        entry.job = replace(entry.job, **changes)
        self._save(entry, lasting)

    def _save(self, entry: Entry, lasting: bool) -> None:
        """Write an entry through. If the disk refuses, memory stays right and the next change tries again."""
        try:
            self._database.save(entry)
            if lasting:
                self._files.describe(entry)
        except (OSError, sqlite3.Error) as error:
            log.error("the state of job %s… could not be saved: %s", entry.job.id[:6], error)

    def _purge(self) -> None:
        """Remove for good what was deleted longer ago than it can be undone."""
        horizon = time.time() - self.undo_seconds
        for entry in [e for e in self._entries.values() if e.deleted is not None and e.deleted <= horizon]:
            if entry.job.state == "running":
                continue
            del self._entries[entry.job.id]
            self._previews.drop(entry.job.id)
            self._files.remove(entry.job.id)
            try:
                self._database.remove(entry.job.id)
            except sqlite3.Error as error:
                log.error("a deleted job could not be removed from the list: %s", error)
