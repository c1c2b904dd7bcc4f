"""Where the workers get their jobs and report what happens to them."""

from __future__ import annotations

import time
from dataclasses import replace

from pipelines.events import Event, Preview, Progress, Result
from studio.jobs.job import Entry, request_of
from studio.jobs.ledger import Ledger
from studio.jobs.results import playing_seconds, save_result, save_shot
from studio.jobs.sentences import INTERRUPTED
from studio.jobs.shots import file_of, number_of

SAVE_SECONDS = 1.0  # how old the progress on disk may be


class Desk:
    """The workers' side of the queue.

    Args:
        undo_seconds: what was deleted longer ago is removed whenever there is nothing to do.
    """

    def __init__(self, ledger: Ledger, undo_seconds: float) -> None:
        self.ledger = ledger
        self.undo_seconds = undo_seconds
        self._saved_at = 0.0

    def take(self) -> Entry | None:
        """The next job, marked running; blocks until there is one. None when the queue has been stopped."""
        with self.ledger.changed:
            while self.ledger.open:
                waiting = self.ledger.turns.order(self.ledger.entries.values())
                if waiting:
                    entry = waiting[0]
                    self.ledger.turns.started(entry.owner)
                    self.ledger.records.begin(entry.job.id)
                    self.ledger.change(entry, lasting=False, state="running", started=time.time(), phase="starting")
                    return entry
                self.ledger.changed.wait(timeout=30.0)
                self.ledger.purge(self.undo_seconds)
            return None

    def heard(self, entry: Entry, event: Event) -> None:
        """Progress or a preview of a running job. Raises OSError when the disk refuses a finished shot."""
        if isinstance(event, Preview):
            event = self._shot(entry, event)
            self.ledger.previews.put(entry.job.id, event, playing_seconds(entry.job.request))
            self.ledger.records.put(entry.job.id, event)
        elif isinstance(event, Progress):
            self._progress(entry, event)

    def _shot(self, entry: Entry, preview: Preview) -> Preview:
        """Keep a shot or a cell that is done; of that and of any other preview, what the page shows of it."""
        file = file_of(preview.name)
        if file is None:
            return preview
        shown = save_shot(self.ledger.files.folder(entry.job.id) / file, preview, request_of(entry.job))
        if (number := number_of(file)) is not None:
            done = {*entry.job.values.get("shots", ()), number}
            self.ledger.change(entry, lasting=False, values={**entry.job.values, "shots": sorted(done)})
        return shown

    def finished(self, entry: Entry, result: Result) -> None:
        """Save what came out and what was seen on the way, then mark the job done; raises OSError when the disk refuses the clip."""
        self._progress(entry, Progress("saving", entry.job.step, entry.job.total))
        made = save_result(self.ledger.files.folder(entry.job.id), result)
        self.ledger.records.finish(entry.job.id, None if "shots" in entry.job.values else result.frames)
        self.ledger.end(entry, state="done", phase="", **made)
        self.ledger.previews.drop(entry.job.id)

    def failed(self, entry: Entry, error: str) -> None:
        """The job cannot be finished; `error` is the sentence that says why."""
        self.ledger.records.finish(entry.job.id)
        self.ledger.end(entry, state="failed", error=error)

    def given_up(self, entry: Entry) -> None:
        """The run was closed: by its owner, or because the studio is stopping."""
        self.ledger.records.finish(entry.job.id)
        if entry.job.stopping:
            self.ledger.end(entry, state="cancelled")
        else:
            self.ledger.end(entry, state="interrupted", error=INTERRUPTED)

    def _progress(self, entry: Entry, progress: Progress) -> None:
        with self.ledger.changed:
            if not entry.wanted:
                return  # "stopping" stays until it has stopped
            where = {"phase": progress.phase, "step": progress.step, "total": progress.total, "unit": progress.unit}
            entry.job = replace(entry.job, **where, seconds_left=progress.seconds_left)
            if time.monotonic() - self._saved_at > SAVE_SECONDS:
                self._saved_at = time.monotonic()
                self.ledger.save(entry, lasting=False)
