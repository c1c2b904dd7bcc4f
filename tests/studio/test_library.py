"""What visitors own beside clips: each their own, deleted with a way back, named by nobody else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import UserError
from pipelines.methods.appearance_warping.request import PersonaliseRequest
from pipelines.methods.generate.request import GenerateRequest
from pipelines.methods.subject_adaptation.request import AdaptRequest
from pipelines.methods.subject_adaptation.subject import ADAPTER, CARD, read_subject
from studio.library import Library
from studio.library.bin import Bin
from studio.library.pictures import MOST_KEPT, SOURCE, Pictures, safe_stem


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "visitors")


def photo(folder: Path, seed: int = 0, name: str = "a.png", size: tuple[int, int] = (60, 80)) -> Path:
    """A picture on disk: seeded blocks of colour."""
    blocks = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(blocks).resize(size[::-1], Image.Resampling.NEAREST).save(folder / name)
    return folder / name


def test_subjects_are_their_owners_alone(library: Library, rex: Path) -> None:
    slug = library.take_in("ada", rex)
    (row,) = library.contents("ada")["subjects"]
    assert (row["slug"], row["name"], row["phrase"], row["pictures"]) == (slug, "Rex", "<rex> ball", 1)
    assert library.contents("bob") == {"subjects": [], "loras": [], "clips": [], "photos": [], "adapters": []}
    for verb in (library.subject, library.delete):
        with pytest.raises(UserError, match="no such subject"):
            verb("bob", slug)
    for name in ("..", "../ada", "", "rex/..", "REX"):
        with pytest.raises(UserError):
            library.subject("ada", name)


def test_a_renamed_subject_keeps_its_word_and_another_of_that_name_is_refused(library: Library, rex: Path) -> None:
    first, second = library.take_in("ada", rex), library.take_in("ada", rex)
    assert (first, second) == ("rex", "rex-2")
    library.rename("ada", second, " Max ")
    card = read_subject(library.subject("ada", second))
    assert (card.name, card.token) == ("Max", "<rex>")
    for name in ("Rex", "", "x" * 41, "<b>", "../x"):
        with pytest.raises(UserError):
            library.rename("ada", second, name)
    library.rename("ada", second, "Max")


def test_a_deleted_subject_comes_back_for_a_while(library: Library, rex: Path) -> None:
    slug = library.take_in("ada", rex)
    library.delete("ada", slug)
    assert library.contents("ada")["subjects"] == []
    library.undo_delete("ada", slug)
    library.delete("ada", slug)
    library.take_in("ada", rex)
    with pytest.raises(UserError, match="another one of that name"):
        library.undo_delete("ada", slug)
    with pytest.raises(UserError):
        library.undo_delete("ada", "../rex")


def test_what_was_deleted_long_ago_is_gone(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    bin = Bin(tmp_path, undo_seconds=100)
    bin.put("old")
    os.utime(bin.folder / "old", (time.time() - 200,) * 2)
    bin.put("new")
    assert sorted(path.name for path in bin.folder.iterdir()) == ["new"]
    with pytest.raises(UserError, match="too long ago"):
        bin.back("old")


def test_an_export_can_be_imported_and_a_hostile_file_leaves_nothing(library: Library, rex: Path, tmp_path: Path) -> None:
    slug = library.take_in("ada", rex)
    zipped = library.export("ada", slug, tmp_path / "out.zip")
    assert library.take_in("bob", zipped) == slug
    (tmp_path / "bad.zip").write_bytes(b"PK nothing")
    with pytest.raises(UserError):
        library.take_in("bob", tmp_path / "bad.zip")
    assert [path.name for path in (tmp_path / "visitors" / "bob" / "subjects").iterdir()] == [slug]


def test_a_damaged_subject_is_shown_with_what_is_wrong(library: Library, rex: Path) -> None:
    slug = library.take_in("ada", rex)
    (library.subject("ada", slug) / CARD).write_text("{")
    (row,) = library.contents("ada")["subjects"]
    assert row["problem"].endswith(".") and row["name"] == slug
    library.delete("ada", slug)


def test_without_a_subject_a_personalised_clip_is_a_plain_one(library: Library) -> None:
    settled = library.settle("ada", PersonaliseRequest(prompt="a red ball", seed=3))
    assert settled == GenerateRequest(prompt="a red ball", seed=3) and "injection" not in settled.model_dump()
    named = PersonaliseRequest(prompt="a red ball", subject="subjects/rex")
    assert library.settle("ada", named) is named


def test_a_training_goes_into_the_folder_of_its_name(library: Library, rex: Path) -> None:
    slug = library.take_in("ada", rex)
    assert library.settle("ada", AdaptRequest(name=" Rex ", class_word="ball")).folder == f"subjects/{slug}"
    library.rename("ada", slug, "Max")
    assert library.settle("ada", AdaptRequest(name="Max", class_word="ball")).folder == f"subjects/{slug}"
    assert library.settle("ada", AdaptRequest(name="Rex", class_word="ball")).folder == f"subjects/{slug}-2"
    assert library.settle("ada", AdaptRequest(folder="../../elsewhere", name="Tom", class_word="ball")).folder == "subjects/tom"


def test_prompts_are_checked_before_anything_runs(library: Library, rex: Path) -> None:
    ask = {"subject": f"subjects/{library.take_in('ada', rex)}", "model": "tiny"}
    assert library.reads("ada", PersonaliseRequest(prompt="a red ball", **ask)) == "a red <rex> ball"
    assert library.reads("ada", GenerateRequest(prompt="a red ball")) == ""
    with pytest.raises(UserError, match="does not speak of Rex"):
        library.reads("ada", PersonaliseRequest(prompt="a red cube", **ask))
    with pytest.raises(UserError, match="was made on tiny"):
        library.reads("ada", PersonaliseRequest(prompt="a red ball", **ask | {"model": "playground-wan"}))
    with pytest.raises(UserError, match="There is no subject"):
        library.reads("bob", PersonaliseRequest(prompt="a red ball", **ask))
    with pytest.raises(UserError, match="not one of yours"):
        library.reads("bob", PersonaliseRequest(prompt="a red ball", **ask | {"subject": "../ada/subjects/rex"}))
    with pytest.raises(UserError, match="no such LoRA"):
        library.reads("ada", GenerateRequest(prompt="a red ball", lora="loras/none.safetensors"))


def test_training_further_asks_for_the_same_subject(library: Library, rex: Path) -> None:
    slug = library.take_in("ada", rex)
    request = library.further("ada", slug, 5)
    assert (request.name, request.steps, request.images) == ("Rex", 6, (f"subjects/{slug}/references/00.png",))
    assert library.files("ada").find(request.images[0]).is_file()
    for steps in (0, -1, 10**6):
        with pytest.raises(UserError):
            library.further("ada", slug, steps)


def test_loras_are_checked_named_and_deleted(library: Library, rex_folder: Path, tmp_path: Path) -> None:
    names = [library.take_in_lora("ada", rex_folder / ADAPTER, "../My style!.safetensors") for _ in range(2)]
    assert names == ["My style.safetensors", "My style-2.safetensors"]
    assert [row["lora"] for row in library.loras("ada")] == sorted(f"loras/{name}" for name in names)
    library.delete_lora("ada", names[0])
    library.undo_delete_lora("ada", names[0])
    (tmp_path / "bad").write_bytes(b"nothing")
    for wrong in ("../x.safetensors", "none.safetensors"):
        with pytest.raises(UserError):
            library.delete_lora("ada", wrong)
    with pytest.raises(UserError):
        library.take_in_lora("ada", tmp_path / "bad", "bad.safetensors")
    assert len(library.loras("ada")) == 2 and library.loras("bob") == []


def test_pictures_are_kept_turned_and_cut(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path / "pictures")
    row = pictures.add(photo(tmp_path), "../Holi day/IMG 1.png")
    assert (row["name"], row["width"], row["height"]) == ("IMG 1.png", 80, 60)
    turned = pictures.edit(row["id"], 1, None)
    assert (turned["width"], turned["height"], turned["image"]) == (60, 80, row["image"])
    cut = pictures.edit(row["id"], 0, [0.25, 0.0, 1.0, 1.0])
    assert (cut["width"], cut["height"]) == (60, 60)
    before = np.asarray(Image.open(tmp_path / "a.png"))
    after = np.asarray(Image.open(pictures.find(row["id"]).file))
    assert np.array_equal(after, before[:, 20:]), "cut from what was sent, not from the turned one"
    with pytest.raises(UserError, match="48 px"):
        pictures.edit(row["id"], 0, [0.0, 0.0, 0.1, 1.0])
    with pytest.raises(UserError):
        pictures.edit(row["id"], 0, [0.0, float("nan"), 1.0, 1.0])
    assert np.array_equal(np.asarray(Image.open(pictures.find(row["id"]).file)), after), "a refused cut changes nothing"


def test_a_picture_that_cannot_be_learnt_from_is_refused_by_name(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path / "pictures")
    first = pictures.add(photo(tmp_path), "one.png")
    with pytest.raises(UserError, match=r"two.png shows the same as one.png"):
        pictures.add(photo(tmp_path), "two.png", [first["id"]])
    with pytest.raises(UserError, match=r"small.png has only 40 x 40 px"):
        pictures.add(photo(tmp_path, size=(40, 40), name="s.png"), "small.png")
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(UserError, match=r"notes.txt cannot be read"):
        pictures.add(tmp_path / "notes.txt", "notes.txt")
    for name in ("..", "", "x" * 11, first["id"] + "/.."):
        with pytest.raises(UserError, match="no longer here"):
            pictures.find(name)
    pictures.remove(first["id"])
    pictures.remove("..")
    assert not list((tmp_path / "pictures").iterdir())


def test_the_oldest_upload_makes_room(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path / "pictures")
    file = photo(tmp_path)
    ids = [pictures.add(file, f"{number}.png")["id"] for number in range(3)]
    for age, name in enumerate(ids):
        os.utime(tmp_path / "pictures" / name, (age, age))
    for number in range(MOST_KEPT - 3):
        (tmp_path / "pictures" / f"filler-{number}").mkdir()
    pictures.add(file, "last.png")
    assert not (tmp_path / "pictures" / ids[0]).exists() and (tmp_path / "pictures" / ids[1] / SOURCE).exists()


@pytest.mark.parametrize(
    ("name", "stem"),
    [("../../etc/passwd", "passwd"), ("C:\\\\x\\\\my cat.jpg", "my cat"), ("<b>.png", "b"), ("", "picture"), ("source.png", "picture")],
)
def test_names_are_made_harmless(name: str, stem: str) -> None:
    assert safe_stem(name) == stem
