"""What a clip's motion is from, played beside the clip: to its owner, as long as the clip itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from procedural import DotRequest, dot, draw, ended, quick, wait_for
from starlette.testclient import TestClient
from test_media import ADA, EVE, browser, owner

from pipelines.events import Event, Preview
from pipelines.video import read_clip
from studio.jobs import Jobs
from studio.jobs.files import STEPS


def moved(request: DotRequest, owner: str = "") -> Iterator[Event]:
    """The moving dot, said to be moved as one that goes the other way."""
    yield Preview("frames", "source", 0, np.ascontiguousarray(dot(request)[::-1]))
    yield from draw(request, owner)


@pytest.fixture
def jobs(open_jobs) -> Jobs:
    return open_jobs(moved)


@pytest.fixture
def ada(jobs: Jobs) -> TestClient:
    return browser(jobs, ADA)


@pytest.fixture
def done(jobs: Jobs) -> str:
    job_id = jobs.submit(owner(ADA), quick())
    assert wait_for(jobs, owner(ADA), job_id, ended).state == "done"
    return job_id


def test_the_source_is_as_long_as_the_clip_and_made_once(ada: TestClient, jobs: Jobs, done: str, tmp_path: Path) -> None:
    answers = [ada.get(f"/media/{done}/source.mp4") for _ in range(2)]
    assert answers[0].headers["content-type"] == "video/mp4" and answers[0].content == answers[1].content
    (tmp_path / "source.mp4").write_bytes(answers[0].content)
    frames, fps = read_clip(tmp_path / "source.mp4")
    clip, clip_fps = read_clip(jobs.clip(owner(ADA), done))
    assert frames.shape == clip.shape and fps == clip_fps
    assert np.abs(frames[::-1].astype(int) - clip).mean() < 4


def test_a_part_is_answered_when_it_is_asked_for(ada: TestClient, done: str) -> None:
    whole = ada.get(f"/media/{done}/source.mp4").content
    part = ada.get(f"/media/{done}/source.mp4", headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == whole[10:20]


def test_others_learn_nothing_about_it(jobs: Jobs, done: str) -> None:
    eve = browser(jobs, EVE)
    answers = [eve.get(f"/media/{job_id}/source.mp4") for job_id in (done, "no-such-job-at-all")]
    assert [answer.status_code for answer in answers] == [404, 404] and answers[0].content == answers[1].content


def test_a_clip_without_a_source_has_none(open_jobs) -> None:
    jobs = open_jobs(draw)
    job_id = jobs.submit(owner(ADA), quick())
    wait_for(jobs, owner(ADA), job_id, ended)
    answer = browser(jobs, ADA).get(f"/media/{job_id}/source.mp4")
    assert answer.status_code == 404 and answer.json()["error"].endswith(".")


def test_steps_that_are_lost_are_one_sentence(ada: TestClient, jobs: Jobs, done: str) -> None:
    jobs.clip(owner(ADA), done).with_name(STEPS).write_bytes(b"PK\x03\x04 no more")
    answer = ada.get(f"/media/{done}/source.mp4")
    assert answer.status_code == 404 and answer.json()["error"].endswith(".")
    assert ada.get(f"/media/{done}/clip.mp4").status_code == 200
