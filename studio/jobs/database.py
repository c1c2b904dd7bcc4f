"""The queue on disk: one SQLite table, written through at every change, safe against a kill at any moment.

A database that cannot be read is set aside under another name, and what the job folders still tell is taken instead.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from pathlib import Path

from pipelines.errors import UserError
from studio.jobs.files import JobFiles, from_record, to_record
from studio.jobs.job import Entry

VERSION = 1
NAME = "jobs.sqlite"
_TABLE = "CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, owner TEXT NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL)"
_SAVE = "INSERT OR REPLACE INTO jobs (id, owner, state, record) VALUES (?, ?, ?, ?)"
_DISK_CODES = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
}
UNWRITABLE = "The studio cannot write to its folder {}; make room or allow writing there, or start it with --home and another folder."
log = logging.getLogger("likeness.jobs")


class Database:
    """All calls come under the queue's lock, so one connection serves every thread.

    Args:
        root: the folder that holds the database; made if missing.

    Raises:
        UserError: the folder cannot be written, or another studio is using it.
    """

    def __init__(self, root: Path, files: JobFiles) -> None:
        self.path = root / NAME
        self.files = files
        self._claim = _claim(root)
        try:
            self._connection = self._open()
        except sqlite3.DatabaseError as error:
            if _is_the_disk(error):
                raise UserError(UNWRITABLE.format(root)) from error
            self._set_aside(error)
            self._connection = self._open()
            self._rebuild()

    def entries(self) -> list[Entry]:
        """Every readable row; an unreadable one is logged and left where it is."""
        found = []
        for job_id, record in self._connection.execute("SELECT id, record FROM jobs"):
            try:
                found.append(from_record(json.loads(record)))
            except (ValueError, KeyError, TypeError) as error:
                log.warning("the record of job %s… cannot be read: %s", job_id[:6], error)
        return found

    def save(self, entry: Entry) -> None:
        """Write one row; raises sqlite3.Error when the disk is full or read-only."""
        record = json.dumps(to_record(entry), default=str)
        with self._connection:
            self._connection.execute(_SAVE, (entry.job.id, entry.owner, entry.job.state, record))

    def remove(self, job_id: str) -> None:
        with self._connection:
            self._connection.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    def close(self) -> None:
        self._connection.close()
        self._claim.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, check_same_thread=False, timeout=5)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            self._check(connection)
            with connection:
                connection.execute(_TABLE)
                connection.execute(f"PRAGMA user_version={VERSION}")
            connection.execute("SELECT id, owner, state, record FROM jobs LIMIT 1").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("its pages do not fit together")
        if connection.execute("PRAGMA user_version").fetchone()[0] not in (0, VERSION):
            raise sqlite3.DatabaseError("it was written by another version")

    def _set_aside(self, error: Exception) -> None:
        kept = f"jobs-set-aside-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**6}.sqlite"
        for tail in ("-wal", "-shm", ""):
            path = self.path.with_name(NAME + tail)
            if path.exists():
                path.rename(self.path.with_name(kept + tail))
        log.warning("the list of jobs could not be read (%s); it is kept as %s and rebuilt from the job folders", error, kept)

    def _rebuild(self) -> None:
        for entry in self.files.entries():
            self.save(entry)


def _claim(root: Path) -> sqlite3.Connection:
    """Hold `root` for this process alone; the claim ends with the process, however it ends."""
    path = root / "in-use.sqlite"
    try:
        connection = sqlite3.connect(path, check_same_thread=False, timeout=0)
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.DatabaseError as error:
        if _code(error) == sqlite3.SQLITE_BUSY:
            raise UserError(f"Another studio is using {root}; stop it, or start this one with --home and another folder.") from error
        if _is_the_disk(error):
            raise UserError(UNWRITABLE.format(root)) from error
        path.unlink()  # holds nothing; only its lock matters
        return _claim(root)
    return connection


def _is_the_disk(error: sqlite3.DatabaseError) -> bool:
    """Whether the place is at fault (full, read-only, broken) and not what is written there."""
    return _code(error) in _DISK_CODES


def _code(error: sqlite3.DatabaseError) -> int:
    """SQLite's primary result code; 0 for errors that are our own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
