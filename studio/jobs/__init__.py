"""The studio's queue: persistent jobs, one worker per device. See `Jobs`."""

from studio.jobs.job import Job
from studio.jobs.queue import Jobs

__all__ = ["Job", "Jobs"]
