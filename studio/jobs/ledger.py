"""All jobs in memory, written through to the disk: reading never waits for it, and a refusing disk never loses the truth."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.errors import UserError
from studio.jobs.database import UNWRITABLE, Database
from studio.jobs.drawings import Drawings
from studio.jobs.files import JobFiles
from studio.jobs.job import WAITING, Entry
from studio.jobs.order import Turns
from studio.jobs.previews import Previews
from studio.jobs.records import Records
from studio.jobs.sentences import INTERRUPTED, NOT_YOURS

log = logging.getLogger("likeness.jobs")


class Ledger:
    """The entries by id, behind one lock (`changed`, which also wakes the workers).

    Raises:
        UserError: `root` cannot be written, or another studio is using it.
    """

    def __init__(self, root: Path) -> None:
        try:
            self.files = JobFiles(root)
        except OSError as error:
            raise UserError(UNWRITABLE.format(root)) from error
        self.database = Database(root, self.files)
        drawing = threading.Lock()  # one picture at a time, of whatever sort
        self.previews = Previews(drawing=drawing)
        self.records, self.drawings = Records(self.files), Drawings(drawing)
        self.turns = Turns()
        self.changed = threading.Condition(threading.RLock())
        self.open = True
        self._unsaved: set[str] = set()
        self.entries = {entry.job.id: entry for entry in self.database.entries()}
        self._recover()

    def find(self, owner: str, job_id: str, deleted: bool = False) -> Entry:
        """The owner's entry; the same UserError for an unknown id as for somebody else's."""
        entry = self.entries.get(job_id)
        if entry is None or entry.owner != owner or (entry.deleted is not None and not deleted):
            raise UserError(NOT_YOURS)
        return entry

    def waiting(self, owner: str | None = None) -> list[Entry]:
        """Queued and running entries, of one visitor or of all."""
        entries = (entry for entry in self.entries.values() if entry.deleted is None and entry.job.state in WAITING)
        return [entry for entry in entries if owner is None or entry.owner == owner]

    def add(self, entry: Entry) -> None:
        """Take in a new entry; raises OSError or sqlite3.Error, and takes nothing in, when the disk refuses."""
        with self.changed:
            try:
                self.files.describe(entry)
                self.database.save(entry)
            except BaseException:
                self.files.remove(entry.job.id)
                raise
            self.entries[entry.job.id] = entry
            self.changed.notify_all()

    def change(self, entry: Entry, lasting: bool = True, **changes: Any) -> None:
        """Replace fields of the entry's job and save it; see `save`."""
        with self.changed:
            entry.job = replace(entry.job, **changes)
            self.save(entry, lasting)

    def end(self, entry: Entry, **changes: Any) -> None:
        """The job will not run any further."""
        self.change(entry, finished=time.time(), seconds_left=None, stopping=False, **changes)

    def save(self, entry: Entry, lasting: bool = True) -> None:
        """Write an entry to the database and, if `lasting`, to its folder.

        If the disk refuses, memory stays right and what is missing on the disk is written with the next save that succeeds.
        """
        with self.changed:
            try:
                self._write(entry, lasting or entry.job.id in self._unsaved)
                self.catch_up()
            except (OSError, sqlite3.Error) as error:
                log.error("the state of job %s… could not be saved: %s", entry.job.id[:6], error)
                self._unsaved.add(entry.job.id)

    def catch_up(self) -> None:
        """Write what an earlier refusal left unwritten; raises OSError or sqlite3.Error if the disk still refuses."""
        with self.changed:
            for job_id in [*self._unsaved]:
                if job_id in self.entries:
                    self._write(self.entries[job_id], lasting=True)
                self._unsaved.discard(job_id)

    def _write(self, entry: Entry, lasting: bool) -> None:
        self.database.save(entry)
        if lasting:
            self.files.describe(entry)
        self._unsaved.discard(entry.job.id)

    def purge(self, older_than: float) -> None:
        """Remove for good what was deleted more than `older_than` seconds ago."""
        with self.changed:
            horizon = time.time() - older_than
            gone = [e for e in self.entries.values() if e.deleted is not None and e.deleted <= horizon and e.job.state != "running"]
            for entry in gone:
                self._remove(entry)

    def close(self) -> None:
        with self.changed:
            try:
                self.catch_up()
            except (OSError, sqlite3.Error) as error:
                log.error("the last states of %d jobs could not be saved: %s", len(self._unsaved), error)
            self.database.close()

    def _remove(self, entry: Entry) -> None:
        del self.entries[entry.job.id]
        self.previews.drop(entry.job.id)
        self.records.drop(entry.job.id)
        self.files.remove(entry.job.id)
        try:
            self.database.remove(entry.job.id)
        except sqlite3.Error as error:
            log.error("a deleted job could not be removed from the list: %s", error)

    def _recover(self) -> None:
        """After a start: what was running when the last process ended is interrupted; the queue stays."""
        for entry in self.entries.values():
            if entry.job.state == "running":
                self.files.tidy(entry.job.id)
                self.end(entry, state="interrupted", error=INTERRUPTED)
