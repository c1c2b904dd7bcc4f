"""`transfer-motion` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import run

from pipelines.video import write_clip

SIZE = ("--width", "48", "--height", "32", "--frames", 9, "--steps", 4, "--seed", 1, "--quiet")


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch, one_thread):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    write_clip(tmp_path / "s.mp4", np.random.default_rng(0).integers(0, 255, (9, 32, 48, 3), dtype=np.uint8), 8)


def test_from_a_clip_to_a_clip_and_again_from_its_settings(capsys, tiny_wan_folder: Path, tmp_path: Path) -> None:
    asked = ("transfer-motion", "--source", "s.mp4", "--prompt", "a ball", "--model", tiny_wan_folder, *SIZE)
    code, out, _ = run(capsys, *asked, "--strength", "0.6", "--dropout", "0.2", "--out", "a.mp4", "--previews", "seen")
    assert code == 0 and out.strip() == "a.mp4"
    names = {file.stem.rsplit("-", 1)[0] for file in (tmp_path / "seen").iterdir()}
    assert {"source", "denoised", "motion-of-the-source", "motion-of-the-result", "y-t-slice-of-the-source"} <= names
    code, out, _ = run(capsys, "transfer-motion", "--request", "a.mp4", "--json", "--out", "b.mp4", "--quiet")
    last = json.loads(out.splitlines()[-1])
    assert code == 0 and last["values"]["looks"] == 1 and (tmp_path / "b.mp4").exists()


def test_sources_that_cannot_be_used_are_one_sentence(capsys, tiny_wan_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    for source in ("missing.mp4", "empty.mp4"):
        code, out, err = run(capsys, "transfer-motion", "--source", source, "--prompt", "a ball", "--model", tiny_wan_folder, *SIZE)
        assert code == 1 and not out and source in err and err.count("\n") == 1


def test_the_estimate_needs_no_source_to_be_read(capsys, tiny_wan_folder: Path) -> None:
    code, out, _ = run(capsys, "transfer-motion", "--source", "s.mp4", "--prompt", "a", "--model", tiny_wan_folder, *SIZE, "--estimate")
    assert code == 0 and "about" in out
