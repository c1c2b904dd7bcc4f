"""Clips, posters, previews and job states over HTTP: to their owner alone."""

import io

import pytest
from PIL import Image
from procedural import ended, quick, slow, wait_for
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.testclient import TestClient

from pipelines.video import read_request
from studio.media import app_kwargs
from studio.visitors import COOKIE, owner_of

ADA, EVE = "a" * 43, "e" * 43
FILES = {"clip.mp4": "video/mp4", "clip.gif": "image/gif", "clip.png": "image/png", "poster.webp": "image/webp"}


def owner(cookie: str) -> str:
    return owner_of(Request({"type": "http", "headers": [(b"cookie", f"{COOKIE}={cookie}".encode())]}))


def browser(jobs, cookie: str) -> TestClient:
    return TestClient(Starlette(**app_kwargs(jobs)), cookies={COOKIE: cookie})


@pytest.fixture
def ada(jobs) -> TestClient:
    return browser(jobs, ADA)


@pytest.fixture
def done(jobs) -> str:
    """A finished job of Ada's."""
    job_id = jobs.submit(owner(ADA), quick("A red, dotted Dot / ünder water"))
    assert wait_for(jobs, owner(ADA), job_id, ended).state == "done"
    return job_id


@pytest.mark.parametrize("name", FILES)
def test_a_file_comes_with_its_type_to_its_owner(ada, done, name):
    answer = ada.get(f"/media/{done}/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, FILES[name])
    assert answer.headers["cache-control"].startswith("private")
    assert "content-disposition" not in answer.headers and len(answer.content) > 100


@pytest.mark.parametrize("name", [*FILES, "preview.webp"])
def test_others_learn_nothing_about_it(jobs, done, name):
    eve = browser(jobs, EVE)
    answers = [eve.get(f"/media/{job_id}/{name}") for job_id in (done, "no-such-job-at-all")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    assert eve.get("/studio/jobs").json() == []
    assert eve.get(f"/studio/jobs/{done}").status_code == 404


@pytest.mark.parametrize("name", ["request.json", "..%2frequest.json", "clip.mp4.part", "..%2f..%2fjobs.sqlite", "clip.exe"])
def test_nothing_but_pictures_can_be_fetched(ada, done, name):
    assert ada.get(f"/media/{done}/{name}").status_code == 404


def test_a_player_can_jump(ada, done):
    whole = ada.get(f"/media/{done}/clip.mp4").content
    part = ada.get(f"/media/{done}/clip.mp4", headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert ada.get(f"/media/{done}/clip.mp4", headers={"range": f"bytes={len(whole)}-"}).status_code == 416
    assert ada.head(f"/media/{done}/clip.mp4").headers["content-length"] == str(len(whole))


def test_a_download_has_a_telling_name(ada, done):
    disposition = ada.get(f"/media/{done}/clip.mp4?download").headers["content-disposition"]
    assert disposition == "attachment; filename*=utf-8''a-red-dotted-dot-%C3%BCnder-water-7.mp4"


def test_an_export_carries_the_settings_and_is_made_once(ada, jobs, done):
    gif = ada.get(f"/media/{done}/clip.gif").content
    assert Image.open(io.BytesIO(gif)).n_frames > 1
    path = jobs.export(owner(ADA), done, ".gif")
    assert read_request(path).seed == 7
    written = path.stat().st_mtime_ns
    assert ada.get(f"/media/{done}/clip.gif").content == gif and path.stat().st_mtime_ns == written


def test_the_page_can_follow_a_job(ada, jobs):
    job_id = jobs.submit(owner(ADA), slow())
    assert ada.get(f"/media/{job_id}/clip.mp4").json()["error"].startswith("This job has no clip")
    wait_for(jobs, owner(ADA), job_id, lambda job: job.preview_version >= 1)
    preview = ada.get(f"/media/{job_id}/preview.webp")
    assert preview.headers["content-type"] == "image/webp" and "no-store" in preview.headers["cache-control"]
    picture = Image.open(io.BytesIO(preview.content))
    assert max(picture.size) == 384 and picture.n_frames == 5
    state = ada.get(f"/studio/jobs/{job_id}").json()
    assert (state["state"], state["phase"], state["total"], state["position"]) == ("running", "drawing", 200, 0)
    assert [job["id"] for job in ada.get("/studio/jobs").json()] == [job_id]
    jobs.cancel(owner(ADA), job_id)
    assert wait_for(jobs, owner(ADA), job_id, ended).state == "cancelled"
    assert ada.get(f"/media/{job_id}/preview.webp").status_code == 200  # what there was stays to be seen


def test_a_clip_that_cannot_be_read_any_more_is_one_sentence(ada, jobs, done):
    jobs.clip(owner(ADA), done).write_bytes(b"not a clip any more")
    answer = ada.get(f"/media/{done}/clip.gif")
    assert answer.status_code == 404 and "not a clip" in answer.json()["error"]


def test_a_disk_that_refuses_an_export_is_one_sentence_without_its_path(ada, jobs, done, tmp_path):
    (jobs.clip(owner(ADA), done).parent / "clip.gif" / "in the way").mkdir(parents=True)
    answer = ada.get(f"/media/{done}/clip.gif")
    assert answer.status_code == 500
    assert str(tmp_path) not in answer.json()["error"] and answer.json()["error"].endswith(".")


def test_a_long_list_travels_packed(ada, jobs):
    for number in range(9):
        jobs.submit(owner(ADA), quick(f"dot {number} " * 50))
    answer = ada.get("/studio/jobs")
    assert answer.headers["content-encoding"] == "gzip" and len(answer.json()) == 9
    assert int(answer.headers["content-length"]) < len(answer.content) / 5
