"""`train-subjects` and `subject-from-image` on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import run
from PIL import Image

from pipelines.video import write_clip

SIZE = ("--width", 48, "--height", 32)
FEW = ("--images", 2, "--clips-in-step", 1, "--images-at-once", 2, "--clips-at-once", 1, "--monitor-every", 0, "--rank", 4)


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch, one_thread):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))


def test_from_pairs_and_clips_to_a_clip_of_a_picture(capsys, tiny_cogvideox_folder, tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / "pairs" / "ball").mkdir(parents=True, exist_ok=True)
        (tmp_path / "clips").mkdir(exist_ok=True)
        draw = np.random.default_rng(number)
        Image.fromarray(draw.integers(0, 255, (64, 80, 3), dtype=np.uint8)).save(tmp_path / "pairs" / "ball" / f"{number}.png")
        write_clip(tmp_path / "clips" / f"{number}.mp4", draw.integers(0, 255, (9, 32, 48, 3), dtype=np.uint8), 8)
        (tmp_path / "clips" / f"{number}.txt").write_text("a red ball rolls")
    asked = ("train-subjects", "--pairs", "pairs", "--clips", "clips", "--model", tiny_cogvideox_folder, *SIZE, *FEW, "--frames", 5)
    code, out, _ = run(capsys, *asked, "--steps", 2, "--out", "adapter")
    assert code == 0 and out.strip() == "adapter"
    picture = ("--image", "pairs/ball/0.png", "--class-word", "ball", "--adapter", "adapter", "--model", tiny_cogvideox_folder)
    drawing = ("subject-from-image", *picture, "--prompt", "a ball spins", *SIZE, "--frames", 9, "--steps", 2, "--out", "a.mp4")
    code, _, _ = run(capsys, *drawing, "--previews", "seen")
    assert code == 0 and (tmp_path / "a.mp4").stat().st_size > 0
    assert {"reference", "denoised"} <= {file.stem.rsplit("-", 1)[0] for file in (tmp_path / "seen").iterdir()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train-subjects", "--pairs", "nowhere", "--clips", "nowhere"), "nowhere"),
        (("train-subjects", "--model", "playground-wan"), "CogVideoX"),
        (("subject-from-image", "--prompt", "a ball"), "picture"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(capsys, arguments, words) -> None:
    code, out, err = run(capsys, *arguments)
    assert code == 1 and out == "" and words in err.splitlines()[-1]
