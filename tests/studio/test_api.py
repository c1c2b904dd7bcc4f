"""The page's JSON endpoints: one sentence for whatever is wrong, and nothing for strangers."""

import numpy as np
import pytest
from starlette.testclient import TestClient
from visiting import OURS, STORE, visitor

from pipelines.methods.generate.request import GenerateRequest
from pipelines.models.registry import entries
from pipelines.video import write_clip
from studio import media
from studio.api import Api
from studio.library import Library


@pytest.fixture
def page(idle_jobs, tmp_path) -> TestClient:
    return visitor([*media.routes(idle_jobs), *Api(idle_jobs, STORE, Library(tmp_path / "visitors")).routes()])


def submit(page: TestClient, **settings) -> dict:
    return page.post("/studio/jobs", json={"method": "generate", "settings": settings}, headers=OURS).json()


def test_a_submitted_request_is_queued_with_its_settings(page):
    job = submit(page, prompt="a red ball", steps=3, fps=None)["id"]
    (queued,) = page.get("/studio/jobs").json()
    assert (queued["id"], queued["state"], queued["request"]["steps"], queued["request"]["fps"]) == (job, "queued", 3, 8)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"prompt": ""}, "The prompt is empty"),
        ({"prompt": "x" * 10_000}, "Prompt must have 2000 characters or fewer."),
        ({"prompt": "x", "width": -1}, "Width must be 16 or more."),
        ({"prompt": "x", "model": "/etc"}, "There is no model called '/etc' here"),
        ({"prompt": "x", "steps": "many"}, "Steps"),
    ],
)
def test_what_does_not_fit_gets_one_sentence(page, settings, says):
    error = submit(page, **settings)["error"]
    assert error.startswith(says) and error.endswith(".")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"method": "none", "settings": {}}', b'{"method": "generate"}', b"x" * 300_000])
def test_nonsense_gets_one_sentence(page, body):
    answer = page.post("/studio/jobs", content=body, headers=OURS)
    assert answer.status_code == 400 and answer.json()["error"].endswith(".")


@pytest.mark.parametrize("path", ["jobs", "jobs/abc/cancel", "estimate", "restore"])
def test_a_foreign_page_changes_nothing(page, path):
    answer = page.post(f"/studio/{path}", json={"method": "generate", "settings": {"prompt": "x"}})
    assert answer.status_code == 400 and "own page" in answer.json()["error"]


def test_every_model_is_listed_with_what_a_person_asks_first(page):
    models = page.get("/studio/models").json()["models"]
    assert [model["name"] for model in models] == [model.name for model in entries()]
    assert all(model["licence"] and model["bytes"] and model["on_disk"] is False for model in models)


def test_an_estimate_tells_what_will_be_snapped(page):
    settings = {"prompt": "", "model": "playground-wan", "frames": 18, "width": 70}
    answer = page.post("/studio/estimate", json={"method": "generate", "settings": settings}, headers=OURS).json()
    assert answer["seconds"] > 0 and answer["memory_bytes"] > 0 and len(answer["notes"]) == 2
    wrong = page.post("/studio/estimate", json={"method": "generate", "settings": settings | {"steps": 0}}, headers=OURS).json()
    assert wrong["error"] == "Steps must be 1 or more." and wrong["model"]["name"] == "playground-wan"


def test_settings_that_the_form_cannot_take_over_are_named(page, tmp_path):
    long, gone = GenerateRequest(prompt="a red ball", frames=121), GenerateRequest(prompt="a red ball", model="/home/somebody/model")
    for request, word in ((long, "121 frames became 33"), (gone, "choose one from the list")):
        write_clip(tmp_path / "clip.mp4", np.zeros((5, 32, 32, 3), np.uint8), 8, request)
        answer = page.post("/studio/restore", content=(tmp_path / "clip.mp4").read_bytes(), headers=OURS | {"X-Name": "clip.mp4"}).json()
        assert word in answer["notes"][0]


def test_settings_come_back_from_a_clip_and_not_from_other_files(page, tmp_path):
    request = GenerateRequest(prompt="a red ball", seed=5, steps=3)
    write_clip(tmp_path / "clip.mp4", np.zeros((5, 32, 32, 3), np.uint8), 8, request)
    headers = OURS | {"X-Name": "clip.mp4"}
    answer = page.post("/studio/restore", content=(tmp_path / "clip.mp4").read_bytes(), headers=headers).json()
    assert answer == {"method": "generate", "settings": request.model_dump(mode="json"), "notes": []}
    for body in (b"", b"just words", (tmp_path / "clip.mp4").read_bytes()[:200]):
        assert page.post("/studio/restore", content=body, headers=headers).json()["error"].endswith(".")
