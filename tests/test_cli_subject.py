"""`adapt` and `personalise` on the command line, with files as people have them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from PIL import Image

from pipelines.cli.commands.adapt import pictures_of
from pipelines.methods.subject_adaptation.subject import read_subject

SIZE = ("--width", "48", "--height", "32")


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch, one_thread):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(2):
        pixels = np.random.default_rng(index).integers(0, 255, (60, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.jpg")
    (folder / ".DS_Store").write_bytes(b"\0")
    return folder


def adapt(capsys, model: Path, pictures: Path, *more) -> tuple[int, str, str]:
    base = ("adapt", "--images", pictures, "--name", "rex", "--class-word", "ball", "--model", model, "--steps", 2, *SIZE, "--quiet")
    return run(capsys, *base, *more)


def test_from_pictures_to_a_clip(capsys, tiny_wan_folder, pictures, tmp_path) -> None:
    code, out, _ = adapt(capsys, tiny_wan_folder, pictures, "--out", "subjects/rex", "--previews", "looks")
    assert code == 0 and out.strip() == "subjects/rex"
    assert read_subject(tmp_path / "subjects" / "rex").steps == 2
    assert any(file.name.startswith("sample") for file in (tmp_path / "looks").iterdir())
    drawing = ("personalise", "--subject", "subjects/rex", "--prompt", "a ball rolls", "--model", tiny_wan_folder)
    size = (*SIZE, "--frames", 9, "--steps", 4, "--seed", 1, "--quiet")
    code, out, _ = run(capsys, *drawing, *size, "--out", "a.mp4", "--previews", "seen")
    assert code == 0 and (tmp_path / out.strip()).stat().st_size > 0
    names = {file.stem.rsplit("-", 1)[0] for file in (tmp_path / "seen").iterdir()}
    assert {"denoised", "correspondence", "flow-to-the-reference", "injection-mask"} <= names
    code, out, _ = run(capsys, "personalise", "--request", "a.mp4", "--injection", "off", "--out", "b.mp4", "--quiet")
    assert code == 0 and (tmp_path / "b.mp4").exists()


def test_a_subject_goes_to_a_folder_of_its_name_and_is_trained_further(capsys, tiny_wan_folder, pictures, tmp_path) -> None:
    code, out, _ = adapt(capsys, tiny_wan_folder, pictures, "--json")
    assert code == 0 and json.loads(out.splitlines()[-1])["out"] == "subjects/rex"
    code, _, err = adapt(capsys, tiny_wan_folder, pictures)
    assert code == 1 and "2 steps already" in err
    code, _, _ = adapt(capsys, tiny_wan_folder, pictures, "--steps", 3)
    assert code == 0 and read_subject(tmp_path / "subjects" / "rex").steps == 3


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("adapt", "--class-word", "ball"), 2, "--name is missing"),
        (("adapt", "--name", "rex", "--class-word", "ball"), 1, "no picture to learn from"),
        (("adapt", "--name", "rex", "--class-word", "ball", "--images", "nowhere"), 1, "no file or folder called nowhere"),
        (("personalise", "--prompt", "a ball"), 1, "No subject is chosen"),
        (("personalise", "--prompt", "a ball", "--subject", "nowhere"), 1, "no subject in nowhere"),
        (("personalise", "--injection", "glue"), 2, "Fine injection"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(capsys, arguments, code, words) -> None:
    found, out, err = run(capsys, *arguments)
    assert found == code and out == "" and words in err.splitlines()[-1]


def test_an_estimate_does_nothing(capsys, pictures, tmp_path) -> None:
    code, out, _ = run(
        capsys, "adapt", "--images", pictures, "--name", "rex", "--class-word", "ball", "--model", "playground-wan", "--estimate"
    )
    assert code == 0 and out.startswith("about ") and not (tmp_path / "subjects").exists()


def test_steps_are_the_presets_and_sizes_the_models(capsys, pictures) -> None:
    asked = ("adapt", "--images", pictures, "--name", "rex", "--class-word", "ball", "--estimate", "--json")
    code, out, _ = run(capsys, *asked)
    request = json.loads(out)["request"]["request"]
    assert code == 0 and request["steps"] == 0 and (request["width"], request["height"]) == (64, 64)
    assert json.loads(run(capsys, *asked, "--preset", "paper")[1])["seconds"] > 0


def test_hidden_files_are_no_pictures(pictures) -> None:
    assert [file.name for file in pictures_of(pictures)] == ["0.jpg", "1.jpg"]
