"""A queue over a temporary folder, sent home at the end."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from procedural import draw

from studio.jobs import Jobs


@pytest.fixture(scope="session")
def rex_folder(loaded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A subject called Rex, trained for one step on the tiny Wan model. Do not write into it."""
    import copy

    from pipelines.methods.subject_adaptation.subject import Subject
    from pipelines.methods.subject_adaptation.train import Plan, adapt

    folder = tmp_path_factory.mktemp("subjects") / "rex"
    subject = Subject(name="Rex", class_word="ball", token="<rex>", model="tiny", rank=4, alpha=4)
    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    list(adapt(copy.deepcopy(loaded["wan"]), subject, [picture], folder, Plan(steps=1, batch=1, height=32, width=32)))
    return folder


@pytest.fixture(scope="session")
def rex(rex_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a zip."""
    from pipelines.methods.subject_adaptation.archive import pack

    return pack(rex_folder, tmp_path_factory.mktemp("zips") / "rex.zip")


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


@pytest.fixture
def idle_jobs(open_jobs) -> Jobs:
    """A queue that keeps what it is given and runs nothing."""
    return open_jobs(start=False)
