"""The folder of a job: root/jobs/<id>/ with request.json, clip.mp4, poster.webp, steps.npz, and shots of a board or cells of a grid."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from pipelines.requests import Request
from studio.jobs.job import Entry, Job
from studio.jobs.shots import FILE as SHOT

REQUEST, CLIP, POSTER, STEPS = "request.json", "clip.mp4", "poster.webp", "steps.npz"
KEPT = {REQUEST, CLIP, POSTER, STEPS}
_ID = re.compile(r"[A-Za-z0-9_-]{16,64}\Z")
log = logging.getLogger("likeness.jobs")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


class JobFiles:
    """The folders of all jobs below `root`. Each describes itself, so that a lost database can be rebuilt from them."""

    def __init__(self, root: Path) -> None:
        self.jobs = root / "jobs"
        self.jobs.mkdir(parents=True, exist_ok=True)

    def folder(self, job_id: str) -> Path:
        return self.jobs / job_id

    def describe(self, entry: Entry) -> None:
        """(Re)write request.json: the request as it travels in clips, and beside it the job's own record."""
        folder = self.folder(entry.job.id)
        folder.mkdir(exist_ok=True)
        job = entry.job
        version = Request.kinds.get(job.method, Request).version
        document = {"method": job.method, "version": version, "request": job.request, "job": to_record(entry)}
        write_atomically(folder / REQUEST, json.dumps(document, default=str).encode())

    def remove(self, job_id: str) -> None:
        shutil.rmtree(self.folder(job_id), ignore_errors=True)

    def tidy(self, job_id: str) -> None:
        """Remove what an interrupted run left half-written."""
        folder = self.folder(job_id)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name not in KEPT and not SHOT.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def entries(self) -> Iterator[Entry]:
        """The jobs as their folders describe them; a folder that does not is left alone and skipped."""
        for path in sorted(self.jobs.glob(f"*/{REQUEST}")):
            try:
                yield from_record(json.loads(path.read_bytes())["job"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.warning("the folder of job %s… cannot be read: %s", path.parent.name[:6], error)


def to_record(entry: Entry) -> dict:
    """An entry as plain values for JSON; without what only lives in memory."""
    record = asdict(entry.job) | {"owner": entry.owner, "rank": entry.rank, "deleted": entry.deleted}
    for name in ("position", "preview_version", "previews", "stopping", "seconds_left"):
        del record[name]
    return record


def from_record(record: dict) -> Entry:
    """The inverse of `to_record`; raises KeyError, TypeError or ValueError for what is no record."""
    job = Job.from_record(record)
    if not _ID.match(job.id) or not isinstance(job.request, dict):
        raise ValueError("not a job's record")
    return Entry(job, str(record["owner"]), float(record["rank"]), record.get("deleted"))
