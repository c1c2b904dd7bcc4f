"""`train-face` with people of one's own: folders as people have them, from the command line to a clip."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from PIL import Image
from safetensors.torch import load_file

from pipelines.faces import arcface_crop, choose
from pipelines.methods.face_training import playground
from pipelines.methods.face_training.folders import CAPTION, survey
from pipelines.methods.face_training.pairs import ALIKE
from pipelines.methods.face_training.people import shots_of
from pipelines.methods.face_training.variations import edited, elsewhere, smiling
from pipelines.video import write_clip

ROOT = Path(__file__).parents[2]
OURS = ("--recogniser", "playground-faces", "--pack", "playground-faces", "--crop", 32, "--tokens", 900, "--width", 64, "--height", 64)


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch, one_thread):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Two people, with what else lies in such folders."""
    root = tmp_path / "people"
    for person in range(2):
        folder = root / f"person {person}"
        folder.mkdir(parents=True)
        still, *_, moving = shots_of(person)
        Image.fromarray(replace(still, side=128).render().frames[0]).save(folder / "0.jpg", quality=95)
        (folder / "0.txt").write_text("someone\n on a beach ")
        write_clip(folder / "1.mp4", replace(moving, side=128).render().frames, 8)
    (root / "person 0" / "notes.pdf").write_bytes(b"%PDF-1.4")
    Image.new("RGB", (90, 60), "green").save(root / "person 1" / "meadow.png")
    (root / ".hidden").mkdir()
    (root / "nobody").mkdir()
    return root


def train(capsys, model: Path, people: Path, *more) -> tuple[int, str, str]:
    return run(capsys, "train-face", "--people", people, "--consent", "--model", model, *OURS, "--out", "a", *more)


def test_from_a_folder_of_people_to_a_clip(capsys, tiny_wan_folder, people, tmp_path) -> None:
    code, out, err = train(capsys, tiny_wan_folder, people, "--steps", 4, "--images", 0.5, "--sample-every", 2, "--previews", "seen")
    assert code == 0 and out.strip() == "a"
    assert "notes.pdf" in err and "meadow.png is left out" in err
    assert json.loads((tmp_path / "a" / "adapter.json").read_text())["base"] == str(tiny_wan_folder)
    assert any(file.name.startswith("sample") for file in (tmp_path / "seen").iterdir())
    before = load_file(tmp_path / "a" / "ref_layers.safetensors")
    code, _, _ = train(capsys, tiny_wan_folder, people, "--steps", 6, "--images", 0.5)
    after = load_file(tmp_path / "a" / "ref_layers.safetensors")
    assert code == 0 and any(not np.array_equal(value, after[name]) for name, value in before.items())
    clip = ("--prompt", "someone", "--pack", "playground-faces", "--frames", 5, "--steps", 2, "--width", 32, "--height", 32)
    photo = ("--photo", people / "person 0" / "0.jpg", "--consent", "--model", tiny_wan_folder, "--adapter", "a")
    code, _, _ = run(capsys, "face", *photo, *clip, "--out", "a.mp4", "--quiet")
    assert code == 0 and (tmp_path / "a.mp4").stat().st_size > 0


def test_an_adapter_is_trained_further_elsewhere(capsys, tiny_wan_folder, people, tmp_path) -> None:
    train(capsys, tiny_wan_folder, people, "--steps", 2)
    code, _, _ = train(capsys, tiny_wan_folder, people, "--steps", 1, "--start", "a", "--out", "b", "--rate", 0)
    assert code == 0 and {file.name for file in (tmp_path / "b").iterdir()} >= {"adapter.json", "resampler.safetensors"}


def train_in_two_processes(model: Path, people: Path, out: Path, steps: int, **environment: str) -> dict[str, np.ndarray]:
    """Weights of the Ref-adapter that two processes learnt in as many `steps`; the first one speaks."""
    flags = ("--model", model, *OURS, "--steps", steps, "--images", 1, "--rate", 0.01, "--out", out)
    started = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2, "-m", "pipelines")
    command = [str(part) for part in (*started, "train-face", "--people", people, "--consent", *flags)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(out)] and done.stderr.count("wrote") == 1
    return load_file(out / "ref_layers.safetensors")


def test_processes_train_together(capsys, tiny_wan_folder, people, tmp_path) -> None:
    """What the first of two writes was learnt from the samples of both, whether each has all weights or half of them."""
    both = train_in_two_processes(tiny_wan_folder, people, tmp_path / "both", 2)
    one = learnt_alone(capsys, tiny_wan_folder, people, tmp_path / "one")
    assert both.keys() == one.keys() and any(not np.allclose(value, one[name]) for name, value in both.items())
    sharing = {"ACCELERATE_USE_FSDP": "true"}
    train_in_two_processes(tiny_wan_folder, people, tmp_path / "shared", 1, **sharing)
    shared = train_in_two_processes(tiny_wan_folder, people, tmp_path / "shared", 2, **sharing)  # goes on from the first step
    assert both.keys() == shared.keys()
    for name, value in both.items():
        np.testing.assert_allclose(shared[name], value, atol=1e-3, err_msg=name)


def learnt_alone(capsys, model: Path, people: Path, out: Path) -> dict[str, np.ndarray]:
    code, *_ = train(capsys, model, people, *OURS, "--steps", 2, "--images", 1, "--rate", 0.01, "--out", out)
    assert code == 0
    return load_file(out / "ref_layers.safetensors")


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        ((), 1, "Say whom to learn from"),
        (("--people", "people", "--drawn", 8), 1, "Say whom to learn from"),
        (("--people", "people"), 1, "Consent is missing"),
        (("--people", "nowhere", "--consent"), 1, "no folder nowhere"),
        (("--people", "people/nobody", "--consent"), 1, "holds nobody"),
        (("--drawn", 8, "--recogniser", "playground-faces-second"), 1, "cannot teach it"),
        (("--drawn", 8, "--tokens", 100), 1, "320 tokens where a step holds 100"),
        (("--drawn", 8, "--out", "people"), 1, "holds something else"),
        (("--drawn", 8, "--model", "playground-cogvideox"), 1, "Wan family"),
        (("--drawn", 8, "--preset", "forever"), 2, "Preset"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(capsys, people, flags, code, words) -> None:
    found, out, err = run(capsys, "train-face", *flags)
    assert found == code and out == "" and words in err.splitlines()[-1]


def test_people_without_faces_teach_nothing(capsys, tiny_wan_folder, tmp_path) -> None:
    (tmp_path / "people" / "hills").mkdir(parents=True)
    Image.new("RGB", (90, 60), "green").save(tmp_path / "people" / "hills" / "meadow.png")
    code, _, err = train(capsys, tiny_wan_folder, tmp_path / "people", "--steps", 2)
    assert code == 1 and "meadow.png is left out" in err.splitlines()[-1]


def test_an_estimate_does_nothing(capsys, people, tmp_path) -> None:
    code, out, _ = run(capsys, "train-face", "--people", people, "--consent", "--estimate", "--out", "a")
    assert code == 0 and out.startswith("about ") and not (tmp_path / "a").exists()


def test_a_folder_is_told_by_its_folders(people) -> None:
    first, second = survey(people)
    assert [(one.file.name, one.caption) for one in first] == [("0.jpg", "someone on a beach"), ("1.mp4", CAPTION), ("notes.pdf", CAPTION)]
    assert [one.file.name for one in second] == ["0.jpg", "1.mp4", "meadow.png"]


def test_variations_look_another_way_and_are_the_same_person() -> None:
    eyes = playground.eyes_for(device="cpu")
    picture = replace(shots_of(1)[0], side=128).render().frames[0]
    face = choose(eyes.detector.detect(picture))
    known = eyes.recogniser.embed(arcface_crop(picture, face.landmarks)[None])[0]
    assert np.array_equal(smiling(picture, face.landmarks, 0.0), picture)
    for seed in range(3):
        draw = np.random.default_rng(seed)
        for changed in (edited(picture, face.landmarks, draw), elsewhere(picture, face.box, draw)):
            assert changed.shape == picture.shape and np.abs(changed.astype(int) - picture).mean() > 3
            assert eyes.look(changed)[0] @ known > ALIKE
    x, y = face.box[:2].astype(int) + (face.box[2:] - face.box[:2]).astype(int) // 2
    assert np.array_equal(elsewhere(picture, face.box, draw)[y, x], picture[y, x])
