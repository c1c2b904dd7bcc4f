"""The records of all jobs: those of running ones in memory, within a budget, those of ended ones in their folders."""

from __future__ import annotations

import logging
import threading

import numpy as np

from pipelines.events import Preview
from pipelines.video.times import times_of
from studio.jobs.files import STEPS, JobFiles
from studio.jobs.record import Record, RecordFile, pack
from studio.jobs.shown import FINISHED, Shown

BUDGET = 256 * 2**20  # bytes of arrays that all running jobs together may hold
log = logging.getLogger("likeness.jobs")


class Records:
    """Records by job id. Safe to call from any thread; nothing that goes wrong in here ends a job.

    Args:
        files: the job folders.
        budget: bytes of arrays in memory; above it the oldest steps of the largest record are thinned.
    """

    def __init__(self, files: JobFiles, budget: int = BUDGET) -> None:
        self.files = files
        self.budget = budget
        self._running: dict[str, Record] = {}
        self._lock = threading.Lock()

    def begin(self, job_id: str) -> None:
        """A job starts; until it ends, what there is of it can be looked at."""
        with self._lock:
            self._running[job_id] = Record()

    def put(self, job_id: str, preview: Preview) -> None:
        """Keep a preview of a running job."""
        try:
            array = pack(preview)
        except (ValueError, TypeError, MemoryError) as error:
            log.warning("a preview of job %s… was not kept: %s", job_id[:6], error)
            return
        with self._lock:
            record = self._running.setdefault(job_id, Record())
            record.add(preview, array)
            self._fit(record, preview)

    def finish(self, job_id: str, clip: np.ndarray | None = None) -> None:
        """The job has ended: its record becomes a file. Of a job that showed nothing and made no `clip` there is none.

        Args:
            clip: (T, H, W, 3) uint8, the finished frames; those at the times of the previews' frames are kept.
        """
        with self._lock:
            record = self._running.get(job_id, Record()).snapshot()
        try:
            if clip is not None:
                _add_clip(record, clip)
            if record.names:
                self.files.folder(job_id).mkdir(exist_ok=True)
                record.write(self.files.folder(job_id) / STEPS)
        except Exception as error:  # whatever it is: the clip is worth more than its steps
            log.warning("the steps of job %s… could not be kept: %s", job_id[:6], error)
        self.drop(job_id)

    def look(self, job_id: str) -> Shown:
        """What can be seen of a job now; raises UserError when its steps are not, or no longer, kept."""
        with self._lock:
            if job_id in self._running:
                return self._running[job_id].snapshot()
        return RecordFile(self.files.folder(job_id) / STEPS)

    def drop(self, job_id: str) -> None:
        """Forget what is in memory."""
        with self._lock:
            self._running.pop(job_id, None)

    def _fit(self, record: Record, newest: Preview) -> None:
        """Thin until everything is within the budget; if that is not enough, do without the newest."""
        while sum(one.bytes for one in self._running.values()) > self.budget:
            largest_first = sorted(self._running.values(), key=lambda one: one.bytes, reverse=True)
            if not any(one.thin() for one in largest_first):
                record.remove(newest.name, newest.step)
                return


def _add_clip(record: Record, clip: np.ndarray) -> None:
    names = record.names
    if any(named.name == FINISHED for named in names):
        return  # a method's own picture of that name
    count = max((named.frames for named in names), default=1)
    last = max((step for named in names for step in named.steps), default=0)
    preview = Preview("frames", FINISHED, last, clip[times_of(len(clip), count)])
    record.add(preview, pack(preview))
