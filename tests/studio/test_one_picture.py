"""A clip of the subject in one picture, over HTTP: what the Generate tab asks for, whose picture it is, and which adapters draw."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from starlette.routing import BaseRoute
from starlette.testclient import TestClient
from visiting import OURS, STORE, visitor

from pipelines.methods.zero_shot_subject import adapters
from pipelines.methods.zero_shot_subject.request import SubjectRequest
from pipelines.models.adapters import AdapterEntry
from pipelines.requests import Request
from pipelines.video import write_clip
from studio import shell
from studio.api import Api
from studio.examples import FOLDER, toy_cards, toys
from studio.jobs import Jobs
from studio.library import Library
from studio.library.adapters import Adapters, folder_of
from studio.library.photo_routes import PhotoRoutes
from studio.library.routes import LibraryRoutes

PICTURE = FOLDER / "person-in-a-meadow.png"
MODEL = "playground-cogvideox"


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AdapterEntry:
    """An adapter that is on this machine, and one that is not. Nothing here reads its weights."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter.safetensors").touch()
    here = AdapterEntry("here", "Here", "For tests.", "Same as this project", MODEL, path=str(folder))
    gone = AdapterEntry("gone", "Gone", "For tests.", "Apache-2.0", "cogvideox-5b", path=str(tmp_path / "nowhere"))
    monkeypatch.setattr(adapters, "ADAPTERS", (gone, here))
    return here


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "visitors")


@pytest.fixture
def routes(idle_jobs: Jobs, library: Library, adapter: AdapterEntry) -> list[BaseRoute]:
    ready = threading.Event()
    ready.set()
    own = [kind(library, idle_jobs, ready) for kind in (LibraryRoutes, PhotoRoutes)]
    return [*Api(idle_jobs, STORE, library).routes(), *(route for one in own for route in one.routes())]


@pytest.fixture
def page(routes: list[BaseRoute]) -> TestClient:
    return visitor(routes)


def post(page: TestClient, path: str, **body: Any) -> dict:
    return page.post(f"/studio/{path}", json=body, headers=OURS).json()


def upload(page: TestClient) -> dict:
    return page.post("/studio/photos", content=PICTURE.read_bytes(), headers=OURS | {"X-Name": "toy.png"}).json()


def settings(picture: dict | None = None, **values: Any) -> dict:
    """As the Generate tab sends them: with those of its other kinds of clips among them."""
    own = {"image": picture["photo"] if picture else "", "prompt": "a toy jumps", "class_word": "toy", "adapter": "here", "model": MODEL}
    return {"pictured": True, "subject": "", "injection": "warp", "reference": 0} | own | values


def asked(page: TestClient, jobs: Jobs, **values: Any) -> Request:
    """What is queued for these settings of the Generate tab."""
    answer = post(page, "jobs", method="personalise", settings=settings(**values))
    job = jobs._ledger.entries[answer["id"]].job
    return Request.kinds[job.method].read(job.request)


def test_with_a_picture_it_is_a_clip_of_what_that_shows_with_nothing_of_the_other_kinds(page: TestClient, idle_jobs: Jobs) -> None:
    picture = upload(page)
    request = asked(page, idle_jobs, image=picture["photo"], strength=0.5)
    assert request == SubjectRequest(
        image=picture["photo"], prompt="a toy jumps", class_word="toy", adapter="here", model=MODEL, strength=0.5
    )  # fmt: skip
    assert not request.model_extra


def test_without_it_the_picture_stays_in_the_form(page: TestClient, idle_jobs: Jobs) -> None:
    request = asked(page, idle_jobs, image=upload(page)["photo"], pictured=False)
    assert request.method == "generate" and not set(request.model_dump()) & {"image", "class_word", "pictured", "strength"}


def test_the_estimate_says_how_the_prompt_is_read(page: TestClient) -> None:
    answer = post(page, "estimate", method="personalise", settings=settings())
    assert answer["reads"] == "a <cls> toy jumps" and answer["seconds"] > 0
    assert post(page, "estimate", method="personalise", settings=settings(class_word=""))["reads"] == ""
    other = post(page, "estimate", method="personalise", settings=settings(model="playground-wan"))
    assert "CogVideoX family" in other["error"] and other["model"]["name"] == "playground-wan"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"image": ""}, "No picture is chosen"),
        ({"image": "../x/photos/a/b.png"}, "The photo is not among yours"),
        ({"image": "/etc/passwd"}, "The photo is not among yours"),
        ({"adapter": "gone"}, "This adapter is not on this machine"),
        ({"adapter": "/tmp/adapter"}, "This adapter is not on this machine"),
        ({"adapter": "photos"}, "This adapter is not on this machine"),
        ({"class_word": "dog"}, "The prompt does not speak of the dog"),
        ({"prompt": " "}, "The prompt is empty"),
        ({"strength": 9}, "Strength must be 2"),
        ({"fit": "stretch"}, "Fit"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(page: TestClient, values: dict, says: str) -> None:
    error = post(page, "jobs", method="personalise", settings=settings(upload(page)) | values)["error"]
    assert error.startswith(says) and error.endswith(".") and "\n" not in error


def test_another_visitors_picture_is_nobodys(routes: list[BaseRoute], page: TestClient) -> None:
    picture, other = upload(page), visitor(routes)
    assert post(other, "jobs", method="personalise", settings=settings(picture))["error"].startswith("The photo is not among yours")


def test_a_picture_in_use_is_not_deleted(page: TestClient) -> None:
    picture = upload(page)
    job = post(page, "jobs", method="personalise", settings=settings(picture))["id"]
    assert "in use" in post(page, f"photos/{picture['id']}/delete")["error"]
    post(page, f"jobs/{job}/cancel")
    assert post(page, f"photos/{picture['id']}/delete") == {}


def test_settings_come_back_with_a_word_about_what_is_gone(page: TestClient, tmp_path: Path) -> None:
    picture = upload(page)
    request = SubjectRequest(image=picture["photo"], prompt="a toy", class_word="toy", adapter="here", model=MODEL)
    made = write_clip(tmp_path / "made.mp4", np.zeros((5, 32, 32, 3), np.uint8), 8, request).read_bytes()

    def restored() -> dict:
        return page.post("/studio/restore", content=made, headers=OURS | {"X-Name": "made.mp4"}).json()

    assert restored()["method"] == "subject-from-image" and restored()["settings"]["class_word"] == "toy"
    post(page, f"photos/{picture['id']}/delete")
    assert "not among yours" in restored()["notes"][0]


def test_the_toys_that_come_with_the_project_are_small_and_say_what_they_show() -> None:
    for entry in toys():
        assert entry["word"] in entry["caption"] and (FOLDER / entry["file"]).stat().st_size < 60_000
    assert toy_cards().count("data-word=") == len(toys())


# --- adapters of one's own -----------------------------------------------------------------------------------------------


def kept(library: Library, page: TestClient, name: str = "Teapots", base: str = MODEL) -> str:
    """An adapter that has learnt something; what requests call it."""
    (owner,) = (folder.name for folder in library.root.iterdir())
    own = library.adapters(owner)
    folder = own.fresh(name)
    own.begin(folder, name, "subject-from-image", base)
    weights = library.root / owner / folder
    weights.mkdir()
    (weights / "adapter.safetensors").write_bytes(b"weights")
    return folder


def test_ones_own_adapter_draws_on_the_model_that_it_is_for(routes: list[BaseRoute], page: TestClient, library: Library) -> None:
    picture = upload(page)
    mine = kept(library, page)
    (row,) = page.get("/studio/library").json()["adapters"]
    assert (row["name"], row["adapter"], row["base"]) == ("Teapots", mine, MODEL)
    assert "id" in post(page, "jobs", method="personalise", settings=settings(picture, adapter=mine))
    other = kept(library, page, base="cogvideox-5b")
    assert "does not fit" in post(page, "jobs", method="personalise", settings=settings(picture, adapter=other))["error"]
    stranger = visitor(routes)
    theirs = settings(upload(stranger), adapter=mine)
    assert "not on this machine" in post(stranger, "jobs", method="personalise", settings=theirs)["error"]
    assert stranger.get("/studio/adapters/teapots/adapter.safetensors").status_code == 404
    assert page.get("/studio/adapters/teapots/adapter.safetensors").content == b"weights"


def test_an_adapter_is_deleted_and_brought_back_unless_it_is_in_use(page: TestClient, library: Library) -> None:
    picture = upload(page)
    mine = kept(library, page)
    job = post(page, "jobs", method="personalise", settings=settings(picture, adapter=mine))["id"]
    assert "in use" in post(page, "adapters/teapots/delete")["error"]
    post(page, f"jobs/{job}/cancel")
    assert post(page, "adapters/teapots/delete") == {} and page.get("/studio/library").json()["adapters"] == []
    assert post(page, "adapters/teapots/undo_delete") == {} and len(page.get("/studio/library").json()["adapters"]) == 1
    for slug in ("none", "TEAPOTS", "card.json", "x" * 99):
        assert "error" in post(page, f"adapters/{slug}/delete")


def test_adapters_have_folders_of_their_own_and_are_listed_once_they_have_learnt(tmp_path: Path) -> None:
    own = Adapters(tmp_path)
    for name, slug in (("My toys!", "my-toys"), ("My toys!", "my-toys-2"), ("///", "adapter"), ("é" * 99, "adapter-2")):
        assert own.fresh(name) == folder_of(slug)
        own.begin(folder_of(slug), name, "face", "playground-wan")
    assert own.all() == []
    (tmp_path / "my-toys" / "weights").mkdir()
    (tmp_path / "my-toys" / "weights" / "resampler.safetensors").touch()
    assert [one.name for one in own.all()] == ["My toys!"] and own.named(folder_of("my-toys"), "subject-from-image") is None
    (tmp_path / "my-toys" / "card.json").write_text(json.dumps({"slug": "../other"}))
    assert own.all() == []


def test_the_form_holds_every_setting_of_both_kinds(adapter: AdapterEntry) -> None:
    page = shell._page()
    (names,) = (str(one.js).split('send("personalise", ')[1] for one in page.fns.values() if 'send("personalise"' in str(one.js))
    assert all(f'"{name}"' in names for name in set(SubjectRequest.settings()) - {"image", "lora"})
    choices = [block for block in page.blocks.values() if isinstance(block, gr.Dropdown) and block.label == "Adapter"]
    assert ("here", [("Here", "here")]) in [(block.value, block.choices) for block in choices]
