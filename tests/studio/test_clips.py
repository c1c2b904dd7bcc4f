"""Source clips over HTTP: what comes in, what is refused, what is seen of it, and that each visitor has their own."""

from __future__ import annotations

import io
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.routing import BaseRoute
from starlette.testclient import TestClient
from visiting import OURS, STORE, visitor

from pipelines.methods.generate.request import GenerateRequest
from pipelines.methods.motion_transfer.request import MotionRequest
from pipelines.video import read_clip, write_clip
from studio.api import Api
from studio.jobs import Jobs
from studio.library import Library
from studio.library import clips as kept
from studio.library.clip_routes import ClipRoutes
from studio.library.routes import LibraryRoutes


@pytest.fixture
def routes(idle_jobs: Jobs, tmp_path: Path) -> list[BaseRoute]:
    library, ready = Library(tmp_path / "visitors"), threading.Event()
    ready.set()
    return [
        *Api(idle_jobs, STORE, library).routes(),
        *LibraryRoutes(library, idle_jobs, ready).routes(),
        *ClipRoutes(library, idle_jobs, ready).routes(),
    ]


@pytest.fixture
def page(routes: list[BaseRoute]) -> TestClient:
    return visitor(routes)


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A bright square that crosses a grey ground: 17 frames of 48 x 32 at 8 per second."""
    frames = np.full((17, 32, 48, 3), 60, np.uint8)
    frames += np.random.default_rng(0).integers(0, 20, (32, 48, 1), dtype=np.uint8)
    for time_, frame in enumerate(frames):
        frame[10:20, 2 * time_ : 2 * time_ + 10] = (240, 180, 40)
    return write_clip(tmp_path_factory.mktemp("clips") / "a.mp4", frames, 8).read_bytes()


def upload(page: TestClient, content: bytes, name: str = "my%20walk.mp4") -> dict:
    return page.post("/studio/clips", content=content, headers=OURS | {"X-Name": name}).json()


def post(page: TestClient, path: str, **body) -> dict:
    return page.post(f"/studio/{path}", json=body, headers=OURS).json()


def clips(page: TestClient) -> list[dict]:
    return page.get("/studio/library").json()["clips"]


def test_a_clip_is_kept_as_it_came_and_described(page: TestClient, mp4: bytes, tmp_path: Path) -> None:
    clip = upload(page, mp4)
    assert (clip["name"], clip["width"], clip["height"], clip["frames"]) == ("my walk.mp4", 48, 32, 17)
    assert clip["seconds"] == pytest.approx(17 / 8, abs=0.01) and clip["fps"] == pytest.approx(8, abs=0.1)
    assert clips(page) == [clip] and "file" not in clip
    (file,) = (tmp_path / "visitors").glob(f"*/clips/{clip['id']}/my walk.mp4")
    assert file.read_bytes() == mp4 and clip["source"] == f"clips/{clip['id']}/my walk.mp4"


@pytest.mark.parametrize(
    "name", ["..%2F..%2Fcard.json", "card.json", "%2Fetc%2Fpasswd", "a%00b.mp4", "%3Cscript%3E.mp4", "x" * 900, ".mp4", "made"]
)
def test_whatever_it_is_called_it_stays_in_its_folder(page: TestClient, mp4: bytes, name: str, tmp_path: Path) -> None:
    clip = upload(page, mp4, name)
    (owner,) = (tmp_path / "visitors").iterdir()
    assert {path.parent for path in owner.rglob("*") if path.is_file()} == {owner / "clips" / clip["id"]}
    assert "/" not in clip["name"] and clips(page)[0]["seconds"] == clip["seconds"]
    assert page.get(f"/studio/clips/{clip['id']}/strip.webp").status_code == 200


def broken() -> dict[str, bytes]:
    png = io.BytesIO()
    Image.new("RGB", (8, 8)).save(png, "JPEG")
    return {
        "empty.mp4": b"",
        "words.mp4": b"just some words\n" * 99,
        "photo.mp4": png.getvalue(),
        "list.m3u8": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        "head.mp4": b"\x00\x00\x00\x18ftypmp42" + bytes(400),
        "request.json": b'{"method": "generate"}',
    }


@pytest.mark.parametrize("name", broken())
def test_what_is_no_clip_is_refused_in_one_sentence_and_removed(page: TestClient, name: str, tmp_path: Path) -> None:
    error = upload(page, broken()[name], name)["error"]
    assert error.endswith(".") and "\n" not in error and str(tmp_path) not in error and "tmp" not in error
    assert clips(page) == [] and not [path for path in (tmp_path / "visitors").rglob("*") if path.is_file()]


def test_a_clip_that_is_cut_off_or_too_large_is_refused(page: TestClient, mp4: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert upload(page, mp4[: len(mp4) // 8])["error"].startswith("my walk.mp4")
    monkeypatch.setattr("studio.library.clip_routes.MAX_CLIP", 100)
    assert upload(page, mp4)["error"] == "my walk.mp4 is larger than 256 MB: choose a shorter clip, or save it smaller."
    assert clips(page) == []


def test_there_is_room_for_so_many_clips_and_bytes(page: TestClient, mp4: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 2)
    first, second = upload(page, mp4)["id"], upload(page, mp4)["id"]
    assert upload(page, mp4)["error"] == "You keep 2 source clips already: delete one first."
    post(page, f"clips/{first}/delete")
    third = upload(page, mp4)["id"]
    assert {clip["id"] for clip in clips(page)} == {second, third}
    assert post(page, f"clips/{first}/undo_delete")["error"].endswith("delete one first."), "its place is taken"
    monkeypatch.setattr(kept, "MOST", 9)
    monkeypatch.setattr(kept, "ROOM", 3 * len(mp4) - 1)
    assert upload(page, mp4)["error"].startswith("Your source clips take up")


def test_what_was_deleted_does_not_pile_up(page: TestClient, mp4: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kept, "MOST", 3)
    for _ in range(6):
        post(page, f"clips/{upload(page, mp4)['id']}/delete")
    assert len(list((tmp_path / "visitors").glob("*/clips/.deleted/*"))) <= 3


def test_a_clip_is_deleted_and_brought_back(page: TestClient, mp4: bytes) -> None:
    clip = upload(page, mp4)
    assert post(page, f"clips/{clip['id']}/delete") == {} and clips(page) == []
    assert page.get(f"/studio/clips/{clip['id']}/strip.webp").status_code == 404
    assert post(page, f"clips/{clip['id']}/undo_delete") == {} and clips(page) == [clip]
    assert post(page, f"clips/{clip['id']}/undo_delete")["error"].endswith(".")
    assert post(page, f"clips/{clip['id']}/dance")["error"].endswith("reload the page.")


def test_another_visitor_finds_nothing(routes: list[BaseRoute], page: TestClient, mp4: bytes) -> None:
    clip, other = upload(page, mp4), visitor(routes)
    assert clips(other) == []
    for path in ("strip.webp", "preview.mp4", "tracks.webp", "slice.webp"):
        there, nowhere = (other.get(f"/studio/clips/{one}/{path}") for one in (clip["id"], "AAAAAAAAAAA"))
        assert there.status_code == nowhere.status_code == 404 and there.content == nowhere.content
    for action in ("delete", "undo_delete"):
        assert post(other, f"clips/{clip['id']}/{action}")["error"].endswith(".")
    error = post(other, "jobs", method="transfer-motion", settings={"prompt": "a ball", "source": clip["source"]})["error"]
    assert error.startswith("The source clip is not among your clips") and clips(page) == [clip]


@pytest.mark.parametrize("source", ["../x/clips/a/b.mp4", "/etc/passwd", "subjects/rex", "clips/AAAAAAAAAAA/a.mp4", "clips"])
def test_only_a_clip_can_be_a_source(page: TestClient, source: str) -> None:
    error = post(page, "jobs", method="transfer-motion", settings={"prompt": "a ball", "source": source})["error"]
    assert error.endswith(".") and page.get("/studio/library").status_code == 200


def test_a_clip_in_use_stays(page: TestClient, mp4: bytes) -> None:
    clip = upload(page, mp4)
    job = post(page, "jobs", method="transfer-motion", settings={"prompt": "a ball", "source": clip["source"]})["id"]
    assert "in use" in post(page, f"clips/{clip['id']}/delete")["error"]
    post(page, f"jobs/{job}/cancel")
    assert post(page, f"clips/{clip['id']}/delete") == {}


def test_a_source_yet_to_be_chosen_is_no_mistake_until_generating(page: TestClient) -> None:
    settings = {"prompt": "a ball", "model": "playground-wan"}
    assert post(page, "estimate", method="transfer-motion", settings=settings)["seconds"] > 0
    assert post(page, "jobs", method="transfer-motion", settings=settings)["error"].startswith("No source clip is chosen")


def test_a_strip_and_a_preview_that_every_browser_plays(page: TestClient, mp4: bytes, tmp_path: Path) -> None:
    clip = upload(page, mp4)
    strip = page.get(f"/studio/clips/{clip['id']}/strip.webp")
    assert strip.headers["content-type"] == "image/webp" and strip.headers["cache-control"].startswith("private")
    assert Image.open(io.BytesIO(strip.content)).size == (640, 64)
    preview = page.get(f"/studio/clips/{clip['id']}/preview.mp4?start=0")
    assert preview.headers["content-type"] == "video/mp4"
    (tmp_path / "p.mp4").write_bytes(preview.content)
    frames, fps = read_clip(tmp_path / "p.mp4")
    assert (frames.shape[:3], fps) == ((17, 32, 48), 8)


@pytest.mark.parametrize("start", ["", "x", "-4", "nan", "1e99", "999", "inf"])
def test_a_senseless_start_of_the_preview_is_bounded(page: TestClient, mp4: bytes, start: str) -> None:
    clip = upload(page, mp4)
    assert page.get(f"/studio/clips/{clip['id']}/preview.mp4", params={"start": start}).status_code == 200


def test_the_preview_of_a_long_clip_begins_where_its_part_does(page: TestClient, tmp_path: Path) -> None:
    frames = np.repeat(np.arange(0, 240, 8, dtype=np.uint8), 1)[:, None, None, None] * np.ones((1, 32, 32, 3), np.uint8)
    clip = upload(page, write_clip(tmp_path / "long.mp4", frames, 2).read_bytes(), "long.mp4")
    shown = []
    for start in (0, 10):
        (tmp_path / "p.mp4").write_bytes(page.get(f"/studio/clips/{clip['id']}/preview.mp4?start={start}").content)
        shown.append(read_clip(tmp_path / "p.mp4")[0])
    assert abs(int(shown[0][0].mean()) - 0) < 8 and abs(int(shown[1][0].mean()) - 160) < 8


SETTINGS = {"start": 0.25, "end": 1.5, "crop": "0.1,0,0.8,1", "frames": 9, "fps": 8, "width": 64, "height": 64}


def test_the_motion_of_a_part_is_drawn_once(page: TestClient, mp4: bytes, tmp_path: Path) -> None:
    clip = upload(page, mp4)
    tracks = page.get(f"/studio/clips/{clip['id']}/tracks.webp", params=SETTINGS)
    assert tracks.status_code == 200, tracks.text
    picture = Image.open(io.BytesIO(tracks.content))
    assert picture.n_frames > 1 and picture.width == picture.height
    began = time.monotonic()
    cut = page.get(f"/studio/clips/{clip['id']}/slice.webp", params=SETTINGS)
    assert Image.open(io.BytesIO(cut.content)).width == 9, "one column for each frame"
    assert page.get(f"/studio/clips/{clip['id']}/tracks.webp", params=SETTINGS).content == tracks.content
    made = list((tmp_path / "visitors").glob("*/clips/*/made/*"))
    assert len(made) == 2 and time.monotonic() - began < 5


@pytest.mark.parametrize(
    "wrong",
    [{"start": "x"}, {"start": -1}, {"start": 900}, {"end": 0.1}, {"crop": "1,2"}, {"crop": "0,0,9,9"}, {"frames": 0}, {"frames": 10**9},
     {"fps": 0}, {"width": 10**9}, {"height": "nan"}],
)  # fmt: skip
def test_senseless_settings_of_a_part_get_one_sentence(page: TestClient, mp4: bytes, wrong: dict) -> None:
    answer = page.get(f"/studio/clips/{upload(page, mp4)['id']}/tracks.webp", params=SETTINGS | wrong)
    assert answer.status_code == 404 and answer.json()["error"].endswith(".")


def test_drawings_of_a_clip_do_not_pile_up(page: TestClient, mp4: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kept, "MOST_MADE", 3)
    library, clip = Library(tmp_path / "visitors"), upload(page, mp4)
    (owner,) = (path.name for path in (tmp_path / "visitors").iterdir())
    own = library.clips(owner)
    for number in range(6):
        file = own.made(own.find(clip["id"]), f"{number}.webp", lambda _, target: target.write_bytes(b"x"))
        os.utime(file, (number, number))
    assert sorted(path.name for path in file.parent.iterdir()) == ["3.webp", "4.webp", "5.webp"]


def test_a_clip_that_was_made_here_brings_its_words(page: TestClient, mp4: bytes, tmp_path: Path) -> None:
    request = GenerateRequest.read({"prompt": "a red ball rises", "frames": 5})
    made = write_clip(tmp_path / "made.mp4", np.zeros((5, 32, 32, 3), np.uint8), 8, request)
    assert upload(page, made.read_bytes(), "made.mp4")["words"] == "a red ball rises" and upload(page, mp4)["words"] == ""


def test_an_example_becomes_one_of_the_clips_once(page: TestClient) -> None:
    clip = post(page, "clips/example", file="star-jumps-beach.mp4")
    assert clip["name"] == "star-jumps-beach.mp4" and clip["frames"] >= 17
    assert {"star", "beach"} <= set(clip["words"].split())
    assert post(page, "clips/example", file="star-jumps-beach.mp4")["id"] == clip["id"] and len(clips(page)) == 1
    for file in ("../readme/studio.png", "index.json", None, ["a"], 3):
        assert post(page, "clips/example", file=file)["error"].startswith("There is no such example")


@pytest.mark.parametrize("path", ["clips", "clips/example", "clips/AAAAAAAAAAA/delete"])
def test_a_foreign_page_changes_nothing(page: TestClient, path: str) -> None:
    assert "own page" in page.post(f"/studio/{path}", json={}).json()["error"]


def test_settings_come_back_with_a_word_about_a_source_that_is_gone(page: TestClient, mp4: bytes, tmp_path: Path) -> None:
    clip = upload(page, mp4)
    request = MotionRequest(prompt="a ball", source=clip["source"], start=0.5, crop="0,0,0.5,1")
    made = write_clip(tmp_path / "made.mp4", np.zeros((5, 32, 32, 3), np.uint8), 8, request).read_bytes()
    for there in (True, False):
        answer = page.post("/studio/restore", content=made, headers=OURS | {"X-Name": "made.mp4"}).json()
        assert (answer["method"], answer["settings"]["start"], answer["settings"]["source"]) == ("transfer-motion", 0.5, clip["source"])
        assert any("source clip is not among your clips" in note for note in answer["notes"]) is not there
        post(page, f"clips/{clip['id']}/delete")
