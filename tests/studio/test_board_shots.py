"""Shots of a board: each is a clip of its own as soon as it is done, and any of them make a film."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from procedural import DotRequest, ended, quick, wait_for
from starlette.testclient import TestClient
from test_media import ADA, EVE, browser, owner

from pipelines.events import Event, Preview, Progress, Result
from pipelines.video import read_clip, read_request, write_clip
from studio.jobs import Jobs
from studio.jobs.films import APART, join
from studio.jobs.shots import MOST, SIDE, file_of, number_of, small

GREYS = {0: 40, 1: 130, 2: 220}


def drawn(request: DotRequest, number: int, alone: bool = False) -> np.ndarray:
    """A shot in one shade of grey of its own."""
    return np.full((request.frames, request.height, request.width, 3), GREYS[number] + 10 * alone, np.uint8)


def board(request: DotRequest, owner: str = "") -> Iterator[Event]:
    """Three shots, one after the other; `step_seconds` lie between them."""
    import time

    for number in GREYS:
        yield Preview("frames", f"shot {number + 1}", 0, drawn(request, number)[:1])
        yield Preview("frames", f"shot {number + 1}, finished", request.steps, drawn(request, number))
        yield Preview("frames", f"shot {number + 1}, alone, finished", request.steps, drawn(request, number, alone=True))
        for _ in range(int(request.step_seconds / 0.05)):
            time.sleep(0.05)
            yield Progress("drawing", number + 1, len(GREYS))
    film = np.concatenate([drawn(request, number) for number in GREYS])
    yield Result(request.with_seed(), film, request.fps, (), {"shots": [*GREYS]})


@pytest.fixture
def jobs(open_jobs) -> Jobs:
    return open_jobs(board)


@pytest.fixture
def done(jobs: Jobs) -> str:
    job_id = jobs.submit(owner(ADA), quick())
    assert wait_for(jobs, owner(ADA), job_id, ended).state == "done"
    return job_id


@pytest.fixture
def ada(jobs: Jobs) -> TestClient:
    return browser(jobs, ADA)


def shades(answer, tmp_path: Path) -> list[int]:
    """The shade of each frame of a clip that was sent, as the nearest of `GREYS`."""
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4"), answer.text
    (tmp_path / "sent.mp4").write_bytes(answer.content)
    frames, _ = read_clip(tmp_path / "sent.mp4")
    return [min(GREYS, key=lambda number: abs(GREYS[number] - frame.mean())) for frame in frames]


@pytest.mark.parametrize(
    ("name", "file", "number"),
    [
        ("shot 1, finished", "shot-1.mp4", 0),
        ("shot 40, finished", "shot-40.mp4", 39),
        ("shot 3, alone, finished", "shot-3-alone.mp4", None),
    ],
)
def test_a_finished_shot_has_a_file(name: str, file: str, number: int | None) -> None:
    assert file_of(name) == file and number_of(file) == number


@pytest.mark.parametrize("name", ["shot 1", "shot 1, character", "shot 0, finished", "finished", "shot ../1, finished"])
def test_other_pictures_have_none(name: str) -> None:
    assert file_of(name) is None


def test_of_a_large_shot_the_record_keeps_little() -> None:
    assert small(np.zeros((81, 320, 640, 3), np.uint8)).shape == (MOST, SIDE // 2, SIDE, 3)
    few = np.zeros((5, 32, 32, 3), np.uint8)
    assert np.array_equal(small(few), few)


def test_each_shot_can_be_fetched_and_carries_its_settings(ada: TestClient, jobs: Jobs, done: str, tmp_path: Path) -> None:
    assert shades(ada.get(f"/media/{done}/shot-2.mp4"), tmp_path) == [1] * 5
    assert shades(ada.get(f"/media/{done}/shot-3-alone.mp4"), tmp_path) == [2] * 5
    assert read_request(tmp_path / "sent.mp4").prompt == quick().prompt
    saved = ada.get(f"/media/{done}/shot-2.mp4?download=1").headers["content-disposition"]
    assert "a-dot-7-shot-2.mp4" in saved
    assert ada.get(f"/media/{done}/shot-4.mp4").status_code == 404


def test_a_film_has_its_shots_in_the_order_asked_for(ada: TestClient, jobs: Jobs, done: str, tmp_path: Path) -> None:
    other = jobs.submit(owner(ADA), quick())
    wait_for(jobs, owner(ADA), other, ended)
    film = ada.get(f"/media/{done}/film.mp4?cut=3,{other}:1,2,2")
    assert shades(film, tmp_path) == [2] * 5 + [0] * 5 + [1] * 10
    assert read_request(tmp_path / "sent.mp4").prompt == quick().prompt
    shades(ada.get(f"/media/{done}/film.mp4?cut=1"), tmp_path)
    assert len([*jobs.shot(owner(ADA), done, "shot-1.mp4").parent.glob("film*")]) == 1, "the newest film only"


@pytest.mark.parametrize("cut", ["", "4", "x", "../1", "1,,2", "no-such-job-at-all:1", "1-alone/../x"])
def test_a_film_of_what_is_not_there_is_one_sentence(ada: TestClient, done: str, cut: str) -> None:
    answer = ada.get(f"/media/{done}/film.mp4", params={"cut": cut})
    assert answer.status_code == 404 and answer.json()["error"].endswith(".")


def test_others_get_neither_shots_nor_films_of_them(jobs: Jobs, done: str) -> None:
    eve = browser(jobs, EVE)
    hers = jobs.submit(owner(EVE), quick())
    wait_for(jobs, owner(EVE), hers, ended)
    for path in (f"{done}/shot-1.mp4", f"{done}/film.mp4?cut=1", f"{hers}/film.mp4?cut=1,{done}:1"):
        assert eve.get(f"/media/{path}").status_code == 404


def test_a_stopped_board_keeps_the_shots_that_are_done(ada: TestClient, jobs: Jobs, tmp_path: Path) -> None:
    job_id = jobs.submit(owner(ADA), quick(step_seconds=2))
    names = ["shot 1", "shot 1, finished", "shot 1, alone, finished"]
    running = wait_for(jobs, owner(ADA), job_id, lambda _: seen(ada, job_id) == names)
    assert (running.state, running.values["shots"]) == ("running", [0])
    jobs.cancel(owner(ADA), job_id)
    stopped = wait_for(jobs, owner(ADA), job_id, ended)
    assert (stopped.state, stopped.has_clip, stopped.values["shots"]) == ("cancelled", False, [0])
    assert ada.get(f"/media/{job_id}/poster.webp").status_code == 200
    assert shades(ada.get(f"/media/{job_id}/film.mp4?cut=1"), tmp_path) == [0] * 5
    assert seen(ada, job_id) == names


def seen(visitor: TestClient, job_id: str) -> list[str]:
    """The names of the pictures that a job has shown so far."""
    return [named["name"] for named in visitor.get(f"/media/{job_id}/seen.json").json().get("names", [])]


def test_after_a_crash_the_shots_are_still_there(jobs: Jobs, done: str, open_jobs) -> None:
    folder = jobs.shot(owner(ADA), done, "shot-1.mp4").parent
    (folder / "half.part").write_bytes(b"")
    jobs._ledger.files.tidy(done)
    left = {path.name for path in folder.iterdir()}
    assert {"shot-1.mp4", "shot-3-alone.mp4"} <= left and "half.part" not in left


def test_the_film_of_a_board_is_no_picture_of_a_step(ada: TestClient, done: str) -> None:
    index = ada.get(f"/media/{done}/seen.json").json()
    assert index["finished"] is None and ada.get(f"/media/{done}/clip.mp4").status_code == 200


def test_shots_of_two_sizes_are_no_film(tmp_path: Path) -> None:
    shots = [write_clip(tmp_path / f"{side}.mp4", np.zeros((3, side, side, 3), np.uint8), 8) for side in (32, 64)]
    with pytest.raises(ValueError, match=APART[:20]):
        join(tmp_path / "film.mp4", shots, 8)
