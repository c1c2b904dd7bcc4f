"""The page's endpoints for subjects, pictures and LoRAs: owners only, one sentence for whatever is wrong."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.routing import BaseRoute
from starlette.testclient import TestClient
from visiting import OURS, STORE, visitor

from pipelines.methods.subject_adaptation.subject import ADAPTER
from studio import media
from studio.api import Api
from studio.jobs import Jobs
from studio.library import Library
from studio.library.routes import LibraryRoutes


@pytest.fixture
def routes(idle_jobs: Jobs, tmp_path: Path) -> list[BaseRoute]:
    library, ready = Library(tmp_path / "visitors"), threading.Event()
    ready.set()
    return [
        *media.routes(idle_jobs),
        *Api(idle_jobs, STORE, library).routes(),
        *LibraryRoutes(library, idle_jobs, ready).routes(),
    ]


@pytest.fixture
def page(routes: list[BaseRoute]) -> TestClient:
    return visitor(routes)


def post(page: TestClient, path: str, **body) -> dict:
    return page.post(f"/studio/{path}", json=body, headers=OURS).json()


def picture(seed: int = 0, size: tuple[int, int] = (64, 64)) -> bytes:
    blocks = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


def upload(page: TestClient, content: bytes, name: str = "a.png", beside: str = "") -> dict:
    return page.post("/studio/pictures", content=content, headers=OURS | {"X-Name": name, "X-With": beside}).json()


def take_in(page: TestClient, rex: Path) -> str:
    return page.post("/studio/subjects", content=rex.read_bytes(), headers=OURS).json()["slug"]


def test_pictures_become_a_training(page: TestClient) -> None:
    first, second = upload(page, picture(0), "one%20cat.png"), upload(page, picture(1))
    assert first["name"] == "one cat.png"
    assert "shows the same as" in upload(page, picture(0), "again.png", beside=f"{second['id']},{first['id']}")["error"]
    assert page.get(f"/studio/pictures/{first['id']}?side=64").headers["content-type"] == "image/webp"
    assert post(page, f"pictures/{first['id']}/edit", turns=1, box=[0, 0, 1, 0.9])["height"] == 58
    settings = {"name": "Rex", "class_word": "ball", "images": [first["image"], second["image"]], "model": "playground-wan"}
    estimate = post(page, "estimate", method="adapt", settings=settings)
    assert estimate["seconds"] > 0 and estimate["model"]["name"] == "playground-wan"
    post(page, "jobs", method="adapt", settings=settings)
    (job,) = page.get("/studio/jobs").json()
    assert job["request"]["folder"] == "subjects/rex" and len(job["request"]["images"]) == 2
    post(page, f"pictures/{first['id']}/delete")
    assert page.get(f"/studio/pictures/{first['id']}").status_code == 404


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"images": []}, "There is no picture to learn from"),
        ({"images": ["x"] * 70}, "images"),
        ({"name": ""}, "The name needs"),
        ({"class_word": " "}, "The class word is empty"),
        ({"model": "/etc"}, "There is no model called"),
        ({"steps": -1}, "Steps must be 0 or more."),
    ],
)
def test_what_cannot_be_learnt_gets_one_sentence(page: TestClient, settings: dict, says: str) -> None:
    error = post(page, "jobs", method="adapt", settings={"name": "Rex", "class_word": "ball", "images": ["pictures/x/a.png"]} | settings)[
        "error"
    ]
    assert error.startswith(says) and error.endswith(".")


def test_a_subject_comes_in_is_used_renamed_trained_and_deleted(page: TestClient, rex: Path) -> None:
    slug = take_in(page, rex)
    (row,) = page.get("/studio/library").json()["subjects"]
    assert row["token"] == "<rex>"
    assert page.get(f"/studio/subjects/{slug}/0.webp").status_code == 200 and page.get(f"/studio/subjects/{slug}/9.webp").status_code == 404
    exported = page.get(f"/studio/subjects/{slug}/export.zip")
    assert exported.content[:2] == b"PK" and "rex.zip" in exported.headers["content-disposition"]
    assert "error" not in post(page, f"subjects/{slug}/rename", name="Max")
    job = post(page, f"subjects/{slug}/further", steps=10)["id"]
    assert "in use" in post(page, f"subjects/{slug}/delete")["error"]
    post(page, f"jobs/{job}/cancel")
    assert "error" not in post(page, f"subjects/{slug}/delete")
    assert page.get("/studio/library").json()["subjects"] == []
    assert "error" not in post(page, f"subjects/{slug}/undo_delete")
    assert page.get("/studio/library").json()["subjects"][0]["name"] == "Max"


def test_a_clip_of_a_subject_is_checked_before_it_is_queued(page: TestClient, rex: Path) -> None:
    subject = f"subjects/{take_in(page, rex)}"
    error = post(page, "jobs", method="personalise", settings={"prompt": "a ball", "subject": subject})["error"]
    assert error == "Rex was made on tiny and does not fit playground-wan: choose tiny."
    assert post(page, "jobs", method="personalise", settings={"prompt": "a ball"})["id"], "without a subject it is a plain clip"
    assert page.get("/studio/jobs").json()[0]["method"] == "generate"


def test_another_visitor_finds_nothing(routes: list[BaseRoute], page: TestClient, rex: Path) -> None:
    slug, shown, other = take_in(page, rex), upload(page, picture())["id"], visitor(routes)
    assert other.get("/studio/library").json()["subjects"] == []
    for path in (f"subjects/{slug}/0.webp", f"subjects/{slug}/export.zip", f"pictures/{shown}"):
        assert other.get(f"/studio/{path}").status_code == 404
    for path in (f"subjects/{slug}/delete", f"subjects/{slug}/rename", f"subjects/{slug}/further", f"pictures/{shown}/edit"):
        assert post(other, path, name="Mine", steps=1)["error"].endswith(".")
    assert len(page.get("/studio/library").json()["subjects"]) == 1


def test_loras_come_in_and_go(page: TestClient, rex_folder: Path) -> None:
    headers = OURS | {"X-Name": "style.safetensors"}
    assert page.post("/studio/loras", content=(rex_folder / ADAPTER).read_bytes(), headers=headers).json() == {"file": "style.safetensors"}
    assert page.post("/studio/loras", content=b"nothing", headers=headers).json()["error"].endswith(".")
    assert post(page, "loras/style.safetensors/delete") == {} and page.get("/studio/library").json()["loras"] == []
    assert post(page, "loras/style.safetensors/undo_delete") == {}
    assert post(page, "loras/x.bin/delete")["error"].endswith(".")


@pytest.mark.parametrize("path", ["pictures", "pictures/x/edit", "subjects", "subjects/rex/delete", "loras", "loras/x/delete"])
def test_a_foreign_page_changes_nothing(page: TestClient, path: str) -> None:
    assert "own page" in page.post(f"/studio/{path}", json={}).json()["error"]


@pytest.mark.parametrize("body", [{"turns": "x"}, {"turns": 1e30}, {"box": "x"}, {"box": [1]}, {"box": ["a", 0, 1, 1]}])
def test_a_senseless_edit_gets_one_sentence(page: TestClient, body: dict) -> None:
    shown = upload(page, picture())["id"]
    assert post(page, f"pictures/{shown}/edit", **body)["error"].endswith(".")


def test_a_huge_or_broken_upload_gets_one_sentence(page: TestClient) -> None:
    huge = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (20_000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    for content, name in ((b"", "none.png"), (b"words", "words.png"), (huge, "huge.png"), (picture(size=(20, 20)), "tiny.png")):
        assert upload(page, content, name)["error"].startswith(name)
