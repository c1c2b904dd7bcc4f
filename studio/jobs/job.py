"""What the studio knows about one job, as the page reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from pipelines.errors import UserError
from pipelines.requests import Request

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
WAITING: tuple[State, ...] = ("queued", "running")


@dataclass(frozen=True)
class Job:
    """A snapshot of one job.

    Attributes:
        id: unguessable name, also that of the job's folder.
        method: the method that runs it ("generate").
        request: the request's fields as they were submitted.
        state: queued, running, done, failed, cancelled, or interrupted (the studio stopped while it ran).
        created, started, finished: unix seconds.
        phase, step, total: of the last `Progress`; total is 0 when unknown.
        seconds_left: estimate for the rest of the job while it runs, or None.
        position: jobs before this one; 0 = running or next, -1 = no longer waiting.
        error: one sentence when the job did not come to its end, else "".
        notes: sentences about what was changed or should be known.
        seed: the seed the clip was made with, once it is known.
        values: figures of the run (seconds, peak bytes, losses).
        has_clip: whether clip and poster can be fetched.
        preview_version: grows whenever there is a newer preview; 0 = none.
        previews: names of the preview pictures, the newest last.
        stopping: Stop was pressed and takes effect at the next step.
    """

    id: str
    method: str
    request: dict[str, Any]
    state: State = "queued"
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    phase: str = ""
    step: int = 0
    total: int = 0
    unit: str = "steps"
    seconds_left: float | None = None
    position: int = -1
    error: str = ""
    notes: tuple[str, ...] = ()
    seed: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    has_clip: bool = False
    preview_version: int = 0
    previews: tuple[str, ...] = ()
    stopping: bool = False

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Job:
        """A job from its stored fields; what this version does not know is left out, what is missing takes its default."""
        known = {f.name for f in fields(cls)}
        values = {name: value for name, value in record.items() if name in known}
        return cls(**values | {"notes": tuple(record.get("notes", ())), "previews": (), "preview_version": 0, "stopping": False})


def request_of(job: Job) -> Request:
    """The job's request as it was submitted; raises UserError if this version cannot read it."""
    kind = Request.kinds.get(job.method)
    if kind is None:
        raise UserError(f"This studio has no method called {job.method[:40]!r}, so the job cannot be run.")
    return kind.read(job.request)


@dataclass
class Entry:
    """A job with what only the queue needs. Changed under the queue's lock; `job` is replaced, never changed.

    Attributes:
        job: the snapshot that readers get.
        owner: who may see it (`visitors.owner_of`).
        rank: place among the owner's waiting jobs, smaller runs earlier.
        deleted: unix seconds when the owner deleted it, or None.
        wanted: False once Stop was pressed.
    """

    job: Job
    owner: str
    rank: float
    deleted: float | None = None
    wanted: bool = True
