"""Download a model: bytes and time left, cancel by closing, resume where it stopped, every file verified.

The transfer runs in a thread, so that closing the generator stops it within a moment even on a stalled connection.
Files arrive in `<folder>.<commit>.partial` and the folder appears under its own name only when it is whole.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import NotAvailable, UserError
from pipelines.events import Progress
from pipelines.models import hub
from pipelines.models.folders import check_folder, components
from pipelines.models.hub import RemoteFile
from pipelines.models.registry import ModelEntry

BLOCK = 2**18
ATTEMPTS = 4  # in a row without a new byte
REPORT_EVERY = 0.2  # seconds
SPARE = 2**28  # disk space that is left free


class Cancelled(Exception):
    """The generator was closed."""


def download(entry: ModelEntry, folder: Path) -> Iterator[Progress]:
    """Bring the hub model `entry` to `folder`; yields Progress in bytes. Closing the iterator stops and keeps what is there.

    Raises UserError in one sentence: no network, no permission, disk full, damaged in transit.
    """
    transfer = Transfer(entry, folder)
    speed = Speed()
    yield Progress("looking up the model", unit="bytes")
    transfer.start()
    try:
        while transfer.is_alive():
            transfer.join(REPORT_EVERY)
            yield Progress(transfer.phase, transfer.done, transfer.total, speed.left(transfer), unit="bytes")
    finally:
        transfer.cancelled.set()
        transfer.join(3)
    if transfer.error is not None:
        raise transfer.error
    yield Progress("downloaded", transfer.total, transfer.total, 0.0, unit="bytes")


class Speed:
    """Time left from the bytes of the last ten seconds."""

    def __init__(self) -> None:
        self.marks: deque[tuple[float, str, int]] = deque()

    def left(self, transfer: Transfer) -> float | None:
        """Seconds until all bytes are here, or None while unknown."""
        now = time.monotonic()
        self.marks.append((now, transfer.phase, transfer.done))
        while now - self.marks[0][0] > 10 or self.marks[0][1] != transfer.phase:
            self.marks.popleft()
        start, _, first = self.marks[0]
        gained = transfer.done - first
        return (transfer.total - transfer.done) * (now - start) / gained if gained > 0 else None


class Transfer(threading.Thread):
    """The thread that moves the bytes. `phase`, `done` and `total` may be read at any time; `error` once it has ended."""

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        super().__init__(name=f"download {entry.name}", daemon=True)
        self.entry, self.folder = entry, folder
        self.phase, self.done, self.total = "looking up the model", 0, 0
        self.error: Exception | None = None
        self.cancelled = threading.Event()

    def run(self) -> None:
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                if not self.folder.is_dir():
                    self._fetch_all()
        except Cancelled:
            pass
        except OSError as error:
            self.error = UserError(f"{self.entry.title} cannot be saved in {self.folder.parent} ({error.strerror}): make room there.")
        except Exception as error:  # handed to the reader of the generator, who raises it
            self.error = error

    def _alone(self):
        """A lock on the folder: the same model is downloaded once at a time, in whichever process."""
        from filelock import FileLock, Timeout

        lock = FileLock(f"{self.folder}.lock")
        while True:
            try:
                return lock.acquire(timeout=0.2)
            except Timeout:
                self.phase = "waiting for another download of this model"
                self._stop_if_cancelled()

    def _fetch_all(self) -> None:
        commit, files = hub.listing(self.entry)
        partial = self.folder.with_name(f"{self.folder.name}.{commit[:8]}.partial")
        index = next((file for file in files if file.path == "model_index.json"), None)
        if index is None:
            raise NotAvailable(f"{self.entry.repo} holds no diffusers model: choose another model.")
        self._fetch(index, commit, partial)
        files = hub.wanted(files, components(partial))
        self.done, self.total = 0, sum(file.size for file in files)
        self._check_space(files, partial)
        for file in files:
            self._fetch(file, commit, partial)
        check_folder(partial)
        os.replace(partial, self.folder)

    def _check_space(self, files: list[RemoteFile], partial: Path) -> None:
        here = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
        needed, free = self.total - here + SPARE, shutil.disk_usage(partial).free
        if needed > free:
            size = f"{needed / 1e9:.1f} GB are needed in {self.folder.parent} and {free / 1e9:.1f} GB are free"
            raise UserError(f"{self.entry.title} does not fit on the disk: {size}; make room, or set LIKENESS_HOME to a larger disk.")

    def _fetch(self, file: RemoteFile, commit: str, partial: Path) -> None:
        """One file, whole and verified, under its name in `partial`."""
        target = partial / file.path
        if target.is_file() and target.stat().st_size == file.size:  # verified before it got this name
            self.done += file.size
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        for _ in range(2):  # a resumed part may turn out to be damaged: then once more from the start
            before = self.done
            self._receive(file, commit, part)
            self.phase = "checking"
            if file.matches(part, lambda count: self._stop_if_cancelled()):
                os.replace(part, target)
                return
            part.unlink()
            self.done = before
        raise UserError(f"{file.path} of {self.entry.title} arrived damaged: start the download again.")

    def _receive(self, file: RemoteFile, commit: str, part: Path) -> None:
        """Bytes of `file` into `part`, resuming after cut connections as long as each attempt brings something."""
        start, failures = self.done, 0
        while (have := part.stat().st_size if part.exists() else 0) < file.size or not part.exists():
            self.phase, self.done = "downloading", start + have
            try:
                with hub.plain_errors(self.entry):
                    self._stream(file, commit, part, have)
            except hub.Unreachable as error:
                gained = part.exists() and part.stat().st_size > have
                failures = 0 if gained else failures + 1
                if failures >= ATTEMPTS:
                    raise self._stopped() from error
                self.cancelled.wait(0.2 if gained else 2.0**failures / 2)
            self._stop_if_cancelled()
        self.done = start + min(have, file.size)

    def _stream(self, file: RemoteFile, commit: str, part: Path, have: int) -> None:
        """One request; appends to `part` if the server honours the range, starts over if not."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_stream_backoff

        url = hf_hub_url(self.entry.repo, file.path, revision=commit, endpoint=hub.endpoint())
        headers = build_hf_headers() | {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with http_stream_backoff("GET", url, headers=headers, timeout=hub.TIMEOUT, max_retries=0) as response:
            hf_raise_for_status(response)
            resumed = response.status_code == 206
            self.done -= 0 if resumed else have
            with part.open("ab" if resumed else "wb") as out:
                for block in response.iter_bytes(BLOCK):
                    self._stop_if_cancelled()
                    out.write(block)
                    self.done += len(block)

    def _stopped(self) -> NotAvailable:
        here = f"{self.done / 1e9:.1f} of {self.total / 1e9:.1f} GB are here, start it again to go on."
        return NotAvailable(f"The download of {self.entry.title} stopped, because the connection was lost: {here}")

    def _stop_if_cancelled(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled
