"""A queue over a temporary folder, sent home at the end."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from procedural import draw

from studio.jobs import Jobs


@pytest.fixture
def open_jobs(tmp_path: Path) -> Iterator[Callable[..., Jobs]]:
    """Opens queues over one folder (by default not started) and stops them all at the end."""
    opened = []

    def opener(run=draw, start: bool = True, **options) -> Jobs:
        jobs = Jobs(tmp_path / "home", run, **options)
        opened.append(jobs)
        if start:
            jobs.start()
        return jobs

    yield opener
    for jobs in opened:
        jobs.stop()


@pytest.fixture
def jobs(open_jobs) -> Jobs:
    return open_jobs()
