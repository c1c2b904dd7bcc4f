"""The steps of a clip over HTTP: which there are, their pictures and matches, to their owner alone."""

import io

import pytest
from matched_dot import DECIDED, run
from PIL import Image
from procedural import ended, quick, slow, wait_for
from starlette.testclient import TestClient
from test_media import ADA, EVE, browser, owner

from studio.jobs.files import STEPS
from studio.jobs.shown import LOST, NO_SUCH
from studio.media import SIDES

SIZE = {"width": 96, "height": 64, "frames": 17, "steps": 10}
ROUTES = ("seen.json", "seen.webp?name=denoised&step=0", "matches.json?step=2")


@pytest.fixture
def jobs(open_jobs):
    return open_jobs(run)


@pytest.fixture
def ada(jobs) -> TestClient:
    return browser(jobs, ADA)


@pytest.fixture
def done(jobs) -> str:
    job_id = jobs.submit(owner(ADA), quick(**SIZE))
    assert wait_for(jobs, owner(ADA), job_id, ended).state == "done"
    return job_id


def picture(answer) -> Image.Image:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp"), answer.text
    assert answer.headers["cache-control"].startswith("private")
    return Image.open(io.BytesIO(answer.content))


def test_the_index_says_what_can_be_seen(ada, done):
    index = ada.get(f"/media/{done}/seen.json").json()
    assert [named["name"] for named in index["names"]] == ["reference", "denoised", *DECIDED, "finished"]
    assert index["names"][1] == {"name": "denoised", "kind": "frames", "steps": [*range(10)], "frames": 5, "height": 16, "width": 24}
    assert (index["grid"], index["matched"], index["finished"]) == ([5, 8, 12], [1, 2, 3], "finished")


def test_a_picture_plays_or_is_one_frame_or_all(ada, done):
    base = f"/media/{done}/seen.webp?name=injection mask&step=2&side=96"
    playing, one, sheet = (picture(ada.get(base + more)) for more in ("", "&frame=4", "&frame=all"))
    assert (playing.size, playing.n_frames) == ((96, 64), 5)
    assert one.size == (96, 64) and getattr(one, "n_frames", 1) == 1
    assert sheet.size == (3 * 96, 2 * 64), "three frames in a row"
    last = sheet.crop((96, 64, 192, 128)).convert("RGB")
    assert last.tobytes() == one.convert("RGB").tobytes(), "the fifth of them is the last frame, without loss"


@pytest.mark.parametrize("name", ["reference", "denoised", *DECIDED, "finished"])
def test_every_picture_can_be_drawn(ada, done, name):
    assert max(picture(ada.get(f"/media/{done}/seen.webp", params={"name": name, "step": _step(ada, done, name)})).size) == 384


def _step(ada, done, name) -> int:
    return next(named["steps"][-1] for named in ada.get(f"/media/{done}/seen.json").json()["names"] if named["name"] == name)


@pytest.mark.parametrize(("asked", "given"), [(1, SIDES[0]), (-5, SIDES[0]), (10**8, SIDES[1]), (200, 200)])
def test_sides_are_bounded(ada, done, asked, given):
    assert max(picture(ada.get(f"/media/{done}/seen.webp?name=denoised&step=0&frame=0&side={asked}")).size) == given


HOSTILE = [
    {}, {"name": "denoised"}, {"step": "1"}, {"name": "nothing", "step": "1"}, {"name": "../request.json", "step": "1"},
    {"name": "denoised", "step": "99"}, {"name": "denoised", "step": "-1"}, {"name": "denoised", "step": "1e3"},
    {"name": "denoised", "step": "9" * 5000}, {"name": "denoised", "step": "١"}, {"name": "denoised", "step": "1", "frame": "5"},
    {"name": "denoised", "step": "1", "frame": "-1"}, {"name": "denoised", "step": "1", "frame": "first"},
    {"name": "denoised", "step": "1", "side": "wide"}, {"name": "denoised", "step": "1", "side": "NaN"}, {"name": "x" * 5000, "step": "1"},
    {"name": "denoised\0", "step": "1"},
]  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE)
def test_a_hostile_question_is_one_sentence(ada, done, query):
    answer = ada.get(f"/media/{done}/seen.webp", params=query)
    assert (answer.status_code, answer.json()) == (404, {"error": NO_SUCH})


@pytest.mark.parametrize("step", ["", "x", "9", "-1", "2.0", "9" * 40])
def test_matches_of_another_step_are_one_sentence(ada, done, step):
    answer = ada.get(f"/media/{done}/matches.json", params={"step": step})
    assert (answer.status_code, answer.json()) == (404, {"error": NO_SUCH})


def test_matches_travel_packed(ada, done):
    answer = ada.get(f"/media/{done}/matches.json?step=2")
    found = answer.json()
    assert found["grid"] == [5, 8, 12] and len(found["to_reference"][4][7][11]) == 2 and found["trusted"][0][0][0] in (0, 1)
    assert answer.headers["content-encoding"] == "gzip" and int(answer.headers["content-length"]) < 4000


@pytest.mark.parametrize("path", ROUTES)
def test_others_learn_nothing_about_it(jobs, done, path):
    eve = browser(jobs, EVE)
    answers = [eve.get(f"/media/{job_id}/{path}") for job_id in (done, "no-such-job-at-all")]
    assert [answer.status_code for answer in answers] == [404, 404] and answers[0].content == answers[1].content


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_steps_that_are_lost_are_one_sentence(ada, jobs, done, path, harm):
    file = jobs.clip(owner(ADA), done).with_name(STEPS)
    file.unlink()
    if harm == "damaged":
        file.write_bytes(b"PK\x03\x04 no more")
    answer = ada.get(f"/media/{done}/{path}")
    assert (answer.status_code, answer.json()) == (404, {"error": LOST})
    assert ada.get(f"/media/{done}/clip.mp4").status_code == 200


def test_a_running_job_can_be_looked_at_and_nothing_of_it_is_cached(ada, jobs):
    job_id = jobs.submit(owner(ADA), slow(width=96, height=64, frames=17))
    wait_for(jobs, owner(ADA), job_id, lambda job: job.step >= 1)
    assert [named["name"] for named in ada.get(f"/media/{job_id}/seen.json").json()["names"]][:2] == ["reference", "denoised"]
    answer = ada.get(f"/media/{job_id}/seen.webp?name=denoised&step=0")
    assert picture(answer).n_frames == 5 and "no-store" in answer.headers["cache-control"]
    jobs.cancel(owner(ADA), job_id)
    wait_for(jobs, owner(ADA), job_id, ended)
    kept = ada.get(f"/media/{job_id}/seen.webp?name=denoised&step=0")
    assert kept.content == answer.content and "max-age" in kept.headers["cache-control"]


def test_a_drawing_is_made_once_and_old_ones_make_room(ada, jobs, done, monkeypatch):
    drawings, made = jobs._ledger.drawings, []
    monkeypatch.setattr("studio.jobs.drawings.picture_of", lambda *_: made.append(1) or b"w" * 1000)
    drawings.room = 2500
    for step in (0, 1, 1, 0, 2, 0, 1):
        ada.get(f"/media/{done}/seen.webp?name=denoised&step={step}")
    assert len(made) == 4 and drawings._bytes == 2000
