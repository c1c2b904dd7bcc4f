"""Photos of people over HTTP and the Face tab's form: what comes in, which faces are seen, who may be drawn, and by whom."""

from __future__ import annotations

import asyncio
import io
import threading
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from starlette.routing import BaseRoute
from starlette.testclient import TestClient
from visiting import OURS, STORE, visitor

from pipelines.methods.face_identity import adapters
from pipelines.methods.face_identity.request import FaceRequest
from pipelines.models.adapters import AdapterEntry
from pipelines.video import write_clip
from studio import shell
from studio.api import Api
from studio.examples import FOLDER, portrait_cards, portraits
from studio.jobs import Jobs
from studio.library import Library, photo_routes
from studio.library import photos as kept
from studio.library.photo_routes import PhotoRoutes
from studio.library.routes import LibraryRoutes

ONE, TWO = FOLDER / "person-in-a-meadow.png", FOLDER / "two-people-on-a-beach.png"


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AdapterEntry:
    """An adapter for the playground's model that is on this machine, and one that is not. Nothing here reads its weights."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "ip_layers.safetensors").touch()
    here = AdapterEntry("here", "Here", "For tests.", "Same as this project", "playground-wan", path=str(folder))
    gone = AdapterEntry("gone", "Gone", "For tests.", "Apache-2.0", "wan2.1-14b", path=str(tmp_path / "nowhere"))
    monkeypatch.setattr(adapters, "ADAPTERS", (gone, here))
    return here


@pytest.fixture
def routes(idle_jobs: Jobs, tmp_path: Path, adapter: AdapterEntry) -> list[BaseRoute]:
    library, ready = Library(tmp_path / "visitors"), threading.Event()
    ready.set()
    return [
        *Api(idle_jobs, STORE, library).routes(),
        *LibraryRoutes(library, idle_jobs, ready).routes(),
        *PhotoRoutes(library, idle_jobs, ready).routes(),
    ]


@pytest.fixture
def page(routes: list[BaseRoute]) -> TestClient:
    return visitor(routes)


def upload(page: TestClient, content: bytes | Path, name: str = "my%20photo.png") -> dict:
    content = content.read_bytes() if isinstance(content, Path) else content
    return page.post("/studio/photos", content=content, headers=OURS | {"X-Name": name}).json()


def post(page: TestClient, path: str, **body: Any) -> dict:
    return page.post(f"/studio/{path}", json=body, headers=OURS).json()


def photos(page: TestClient) -> list[dict]:
    return page.get("/studio/library").json()["photos"]


def faces(page: TestClient, photo: dict, pack: str = "playground-faces") -> dict:
    return page.get(f"/studio/photos/{photo['id']}/faces.json", params={"pack": pack}).json()


def written(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def pixels_of(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file).convert("RGB"))


def settings(photo: dict | None = None, **values: Any) -> dict:
    own = {"photo": photo["photo"] if photo else "", "prompt": "a person nods", "adapter": "here", "model": "playground-wan"}
    return {"consent": True} | own | values


# --- what comes in -----------------------------------------------------------------------------------------------------


def test_a_photo_is_kept_upright_and_without_what_the_camera_wrote(page: TestClient, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"  # lies on its side
    photo = upload(page, written(np.rot90(pixels_of(ONE)[:, :150]), "JPEG", exif=exif, quality=95), "my%20photo.jpg")
    assert (photo["name"], photo["width"], photo["height"], photo["consent"]) == ("my photo.jpg", 150, 192, False)
    assert photos(page) == [photo] and "file" not in photo
    (file,) = (tmp_path / "visitors").glob(f"*/photos/{photo['id']}/my photo.png")
    assert not Image.open(file).getexif() and photo["photo"] == f"photos/{photo['id']}/my photo.png"
    assert np.abs(pixels_of(file).astype(int) - pixels_of(ONE)[:, :150]).mean() < 4
    shown = page.get(f"/studio/photos/{photo['id']}/picture.webp?side=96")
    assert Image.open(io.BytesIO(shown.content)).size == (75, 96) and shown.headers["cache-control"].startswith("private")


def test_a_large_photo_is_kept_smaller(page: TestClient) -> None:
    photo = upload(page, written(np.zeros((500, 4096, 3), np.uint8)))
    assert (photo["width"], photo["height"]) == (2048, 250)


@pytest.mark.parametrize("name", ["..%2F..%2Fcard.json", "card.json", "%2Fetc%2Fpasswd", "%3Cscript%3E.png", "x" * 900, ".png", "made"])
def test_whatever_it_is_called_it_stays_in_its_folder(page: TestClient, name: str, tmp_path: Path) -> None:
    photo = upload(page, ONE, name)
    (owner,) = (tmp_path / "visitors").iterdir()
    assert {path.parent for path in owner.rglob("*") if path.is_file()} == {owner / "photos" / photo["id"]}
    assert "/" not in photo["name"] and photos(page)[0]["width"] == 192


BROKEN = {
    "empty.jpg": b"",
    "words.jpg": b"just some words\n" * 99,
    "half.png": ONE.read_bytes()[:9000],
    "page.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "request.json": b'{"method": "face"}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_picture_is_refused_in_one_sentence_and_removed(page: TestClient, name: str, tmp_path: Path) -> None:
    error = upload(page, BROKEN[name], name)["error"]
    assert error.startswith(name) and error.endswith(".") and "\n" not in error and str(tmp_path) not in error
    assert photos(page) == [] and not [path for path in (tmp_path / "visitors").rglob("*") if path.is_file()]


def test_what_is_too_much_is_refused(page: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 1)
    first = upload(page, ONE)
    assert upload(page, ONE)["error"] == "You keep 1 photos already: delete one first."
    monkeypatch.setattr(photo_routes, "MAX_PICTURE", 100)
    assert upload(page, TWO, "big.png")["error"] == "big.png is larger than 64 MB: make it smaller."
    assert photos(page) == [first]


def test_an_example_becomes_one_of_the_photos_once(page: TestClient) -> None:
    assert [entry["file"] for entry in portraits()] == [ONE.name, TWO.name]
    assert portrait_cards().count("<button") == 2 and all((FOLDER / entry["file"]).stat().st_size < 40_000 for entry in portraits())
    photo = post(page, "photos/example", file=TWO.name)
    assert post(page, "photos/example", file=TWO.name)["id"] == photo["id"] and len(photos(page)) == 1
    for file in ("../readme/studio.png", "portraits.json", None, ["a"], 3):
        assert post(page, "photos/example", file=file)["error"].startswith("There is no such example")


# --- the faces in it ---------------------------------------------------------------------------------------------------


def test_the_faces_are_boxes_from_left_to_right(page: TestClient) -> None:
    seen = faces(page, upload(page, TWO))
    (left, right) = (face["box"] for face in seen["faces"])
    assert left[0] < left[2] < right[0] < right[2] <= 1 and all(0 <= side <= 1 for side in (*left, *right))
    assert seen["usual"] is None and "2 faces of similar size" in seen["problem"]
    assert [face["problem"] for face in seen["faces"]] == ["", ""]


def test_one_face_is_the_one_that_is_meant(page: TestClient) -> None:
    seen = faces(page, upload(page, ONE))
    assert (len(seen["faces"]), seen["usual"], seen["problem"], seen["faces"][0]["remarks"]) == (1, 0, "", [])


def edges() -> dict[str, tuple[np.ndarray, str]]:
    """Pictures in which nobody can be meant, and how the sentence about them begins."""
    person = pixels_of(ONE)
    small = np.pad(person[::6, ::6], ((80, 80), (80, 80), (0, 0)), constant_values=90)
    return {
        "grass": (np.full((128, 128, 3), (90, 160, 60), np.uint8), "No face is seen"),
        "a line": (np.zeros((1, 900, 3), np.uint8), "No face is seen"),
        "far away": (small, "The face is only"),
        "a crowd": (np.concatenate([np.concatenate([person] * 5, 1)] * 4), "There are 20 faces of similar size"),
    }


@pytest.mark.parametrize("name", edges())
def test_who_cannot_be_meant_is_a_sentence(page: TestClient, name: str) -> None:
    pixels, says = edges()[name]
    seen = faces(page, upload(page, written(pixels)))
    assert seen["usual"] is None and (seen["problem"].startswith(says) or seen["problem"].startswith("No face")), seen["problem"]
    assert seen["problem"].endswith(".") and "\n" not in seen["problem"]


def test_a_face_cut_off_is_remarked_upon(page: TestClient) -> None:
    (face,) = faces(page, upload(page, written(pixels_of(ONE)[:, 75:])))["faces"]
    assert any("cut off" in remark for remark in face["remarks"]) and face["box"][0] == 0


def test_faces_are_found_once_and_never_on_the_event_loop(page: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, find = [], photo_routes.find_faces

    def watched(*arguments: Any) -> None:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        calls.append(arguments)
        find(*arguments)

    monkeypatch.setattr(photo_routes, "find_faces", watched)
    photo = upload(page, ONE)
    assert faces(page, photo) == faces(page, photo) and len(calls) == 1


@pytest.mark.parametrize("pack", ["", "other", "buffalo_l", "playground-faces-second", "../playground-faces"])
def test_only_face_models_on_offer_look(page: TestClient, pack: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("HOME", "LIKENESS_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert faces(page, upload(page, ONE), pack) == {"error": "These face models are not on this machine: choose others."}


# --- whose it is -------------------------------------------------------------------------------------------------------


def test_who_is_meant_stays_with_the_photo_and_not_with_others(page: TestClient) -> None:
    first, second = upload(page, ONE), upload(page, TWO)
    assert post(page, f"photos/{first['id']}/person", face=1, consent=True) == {}
    assert [(photo["id"], photo["face"], photo["consent"]) for photo in photos(page)] == [(second["id"], 0, False), (first["id"], 1, True)]
    for nonsense in ({"face": "x"}, {"face": 1e99}, {"consent": "yes"}):
        post(page, f"photos/{second['id']}/person", **nonsense)
    assert not photos(page)[0]["consent"]
    assert "error" in post(page, f"photos/{first['id']}/dance")


def test_another_visitor_finds_nothing(routes: list[BaseRoute], page: TestClient) -> None:
    photo, other = upload(page, ONE), visitor(routes)
    assert photos(other) == []
    for path in ("picture.webp", "faces.json?pack=playground-faces"):
        there, nowhere = (other.get(f"/studio/photos/{one}/{path}") for one in (photo["id"], "AAAAAAAAAAA"))
        assert there.status_code == nowhere.status_code >= 400 and there.content == nowhere.content
    for action in ("delete", "undo_delete", "person"):
        assert post(other, f"photos/{photo['id']}/{action}", face=1, consent=True)["error"].endswith(".")
    assert post(other, "jobs", method="face", settings=settings(photo))["error"].startswith("The photo is not among yours")
    assert photos(page) == [photo]


@pytest.mark.parametrize("path", ["photos", "photos/example", "photos/AAAAAAAAAAA/person"])
def test_a_foreign_page_changes_nothing(page: TestClient, path: str) -> None:
    assert "own page" in page.post(f"/studio/{path}", json={}).json()["error"]


def test_a_photo_is_deleted_and_brought_back_unless_it_is_in_use(page: TestClient) -> None:
    photo = upload(page, ONE)
    assert post(page, f"photos/{photo['id']}/delete") == {} and photos(page) == []
    assert post(page, f"photos/{photo['id']}/undo_delete") == {} and photos(page) == [photo]
    job = post(page, "jobs", method="face", settings=settings(photo))["id"]
    assert "in use" in post(page, f"photos/{photo['id']}/delete")["error"]
    post(page, f"jobs/{job}/cancel")
    assert post(page, f"photos/{photo['id']}/delete") == {}


# --- the form and what it asks for -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"consent": False}, "Consent is missing"),
        ({"photo": ""}, "No photo is chosen"),
        ({"photo": "../x/photos/a/b.png"}, "The photo is not among yours"),
        ({"photo": "/etc/passwd"}, "The photo is not among yours"),
        ({"adapter": "gone"}, "This adapter is not on this machine"),
        ({"adapter": "/tmp/adapter"}, "This adapter is not on this machine"),
        ({"adapter": "photos"}, "This adapter is not on this machine"),
        ({"pack": "antelopev2x"}, "There are no face models"),
        ({"pack": "playground-faces-second"}, "Playground faces, second only measures"),
        ({"id_scale": 9}, "Identity must be 2"),
        ({"prompt": " "}, "The prompt is empty"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(page: TestClient, values: dict, says: str) -> None:
    error = post(page, "jobs", method="face", settings=settings(upload(page, ONE)) | values)["error"]
    assert error.startswith(says) and error.endswith(".") and "\n" not in error


def test_the_request_arrives_as_it_was_asked(page: TestClient, idle_jobs: Jobs) -> None:
    photo = upload(page, TWO)
    asked = settings(photo, face=2, id_scale=0.8, mark=True)
    job = post(page, "jobs", method="face", settings=asked)["id"]
    (entry,) = (one.job for one in idle_jobs._ledger.entries.values())
    assert entry.id == job and FaceRequest.read(entry.request) == FaceRequest.read(asked)


def test_a_photo_yet_to_be_chosen_is_no_mistake_until_generating(page: TestClient) -> None:
    assert post(page, "estimate", method="face", settings=settings(consent=False))["seconds"] > 0


def test_settings_come_back_with_a_word_about_a_photo_that_is_gone(page: TestClient, tmp_path: Path, monkeypatch) -> None:
    photo = upload(page, ONE)
    request = FaceRequest.read(settings(photo, face=1))
    made = write_clip(tmp_path / "made.mp4", np.zeros((5, 32, 32, 3), np.uint8), 8, request).read_bytes()

    def restored() -> dict:
        return page.post("/studio/restore", content=made, headers=OURS | {"X-Name": "made.mp4"}).json()

    assert restored()["settings"]["photo"] == photo["photo"] and restored()["notes"] == []
    post(page, f"photos/{photo['id']}/delete")
    assert "not among yours" in restored()["notes"][0]
    monkeypatch.setattr(adapters, "ADAPTERS", adapters.ADAPTERS[:1])
    assert restored()["error"] == "This clip was made with face, which has no tab here."


def tabs(page: gr.Blocks) -> list[str]:
    return [block.label for block in page.blocks.values() if isinstance(block, gr.Tab)]


def test_the_tab_is_there_where_an_adapter_is(adapter: AdapterEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    page = shell._page()
    assert tabs(page)[-3:] == ["Face", "Train", "Library"]
    (names,) = (str(one.js).split('likeness.send("face", ')[1] for one in page.fns.values() if 'likeness.send("face"' in str(one.js))
    elsewhere = {"photo", "face", "consent", "lora"}
    assert {name for name in FaceRequest.settings() if f'"{name}"' in names} == set(FaceRequest.settings()) - elsewhere
    choices = [block for block in page.blocks.values() if isinstance(block, gr.Dropdown)]
    offered = {block.label: (block.value, [value for _, value in block.choices]) for block in choices}
    assert offered["Adapter"] == ("here", ["here"]) and offered["Face models"][0] == "playground-faces"
    assert "playground-faces-second" not in offered["Face models"][1]
    monkeypatch.setattr(adapters, "ADAPTERS", adapters.ADAPTERS[:1])
    assert "Face" not in tabs(shell._page())
