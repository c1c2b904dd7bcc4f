"""Subjects as zips: there and back unchanged; hostile ones leave nothing behind."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.methods.subject_adaptation import archive
from pipelines.methods.subject_adaptation.archive import PARTS, check_folder, pack, unpack
from pipelines.methods.subject_adaptation.subject import ADAPTER, CARD, TOKEN, Subject, adapted
from pipelines.methods.subject_adaptation.train import CHECKPOINT, Plan, adapt


@pytest.fixture
def folder(wan, tmp_path: Path) -> Path:
    subject = Subject(name="Rex", class_word="ball", token="<rex>", model="tiny", rank=4, alpha=4)
    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    list(adapt(wan, subject, [picture], tmp_path / "rex", Plan(steps=1, batch=1, height=32, width=32)))
    return tmp_path / "rex"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def repacked(folder: Path, file: Path, **changes: bytes | None) -> Path:
    """A zip of the folder's parts with some of them changed, or left out (None)."""
    parts = {name: data for name, data in contents(folder).items() if PARTS.fullmatch(name)} | changes
    with zipfile.ZipFile(file, "w") as made:
        for name, data in parts.items():
            if data is not None:
                made.writestr(name, data)
    return file


def test_there_and_back(wan, folder: Path, tmp_path: Path) -> None:
    file = pack(folder, tmp_path / "rex.zip")
    subject = unpack(file, tmp_path / "other" / "rex")
    before = contents(folder)
    assert before.pop(CHECKPOINT), "the training's checkpoint stays at home"
    assert contents(tmp_path / "other" / "rex") == before
    with adapted(wan, tmp_path / "other" / "rex", "tiny") as known:
        assert known == subject and known.name == "Rex"
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["rex"]


def test_one_that_is_there_is_not_written_over(folder: Path, tmp_path: Path) -> None:
    before = contents(folder)
    with pytest.raises(UserError, match="already"):
        unpack(pack(folder, tmp_path / "rex.zip"), folder)
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({CARD: None}, "is no subject"),
        ({ADAPTER: None}, "is no subject"),
        ({TOKEN: None}, "is no subject"),
        ({CARD: b"{}"}, "damaged"),
        ({CARD: b"[" * 100_000}, "damaged"),
        ({ADAPTER: b"\x80\x04pickle"}, "cannot be read as safetensors"),
        ({TOKEN: b""}, "missing or damaged"),
        ({"references/00.png": b"<svg/>"}, "cannot be read as a picture"),
    ],
)
def test_a_damaged_zip_leaves_nothing(folder: Path, tmp_path: Path, changes, words: str) -> None:
    file = repacked(folder, tmp_path / "hurt.zip", **changes)
    with pytest.raises(UserError, match=words):
        unpack(file, tmp_path / "other" / "rex")
    assert not list((tmp_path / "other").iterdir())


def test_other_files_and_ways_out_are_left_in_the_zip(folder: Path, tmp_path: Path) -> None:
    extra = {"../evil.txt": b"x", "/tmp/evil.txt": b"x", "references/../../evil.png": b"x", "run.py": b"x", "references/00.png.exe": b"x"}
    unpack(repacked(folder, tmp_path / "more.zip", **extra), tmp_path / "other" / "rex")
    assert all(PARTS.fullmatch(name) for name in contents(tmp_path / "other" / "rex"))
    assert not list(tmp_path.rglob("evil*"))


def test_a_bomb_is_stopped_while_unpacking(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match="larger than any subject"):
        unpack(pack(folder, tmp_path / "rex.zip"), tmp_path / "other" / "rex")
    assert not list((tmp_path / "other").iterdir())


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"not a zip at all"])
def test_what_is_no_zip_is_said_so(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(UserError, match="cannot be read as a zip"):
        unpack(tmp_path / "a.zip", tmp_path / "rex")


def test_a_card_cannot_name_something_else_as_its_word(folder: Path) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(card | {"token": "../../x"}))
    with pytest.raises(UserError, match="damaged"):
        check_folder(folder)
