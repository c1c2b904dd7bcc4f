"""`--lora` on the command line, with a file as people have it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import run
from tiny_loras import write_lora

from pipelines.video import read_clip, read_request

SIZE = ("--width", 32, "--height", 32, "--frames", 5, "--steps", 2, "--seed", 3)


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch, one_thread):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))


@pytest.fixture
def draw(capsys, tiny_wan_folder):
    """Exit code, stdout and stderr of drawing one clip."""
    return lambda *more: run(capsys, "generate", "--model", tiny_wan_folder, "--prompt", "a red ball", *SIZE, *more)


def test_a_clip_with_a_lora_and_from_its_settings_again(capsys, draw, wan, tmp_path) -> None:
    (tmp_path / "loras").mkdir()
    write_lora(wan, tmp_path / "loras" / "own.safetensors")
    given = ("--lora", "loras/own.safetensors")
    for name, more in {"plain": (), "whole": given, "some": (*given, "--lora-strength", 0.8)}.items():
        code, out, err = draw(*more, "--out", f"{name}.mp4")
        assert (code, out) == (0, f"{name}.mp4\n") and "note: " not in err
    plain, whole, some = (read_clip(f"{name}.mp4")[0] for name in ("plain", "whole", "some"))
    assert not np.array_equal(plain, whole) and not np.array_equal(whole, some)
    request = read_request("some.mp4")
    assert (request.lora, request.lora_strength) == ("loras/own.safetensors", 0.8)
    code, _, _ = run(capsys, "generate", "--request", "some.mp4", "--out", "again.mp4", "--quiet")
    assert code == 0 and np.array_equal(read_clip("again.mp4")[0], some)
    code, _, err = draw(*given, "--lora-strength", 0, "--out", "none.mp4")
    assert code == 0 and "note: The LoRA has no effect, because its strength is 0." in err
    assert np.array_equal(read_clip("none.mp4")[0], plain)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--lora", "nowhere.safetensors"), 1, "There is no file called nowhere.safetensors"),
        (("--lora", "notes.safetensors"), 1, "notes.safetensors cannot be read as safetensors"),
        (("--lora", "theirs.safetensors"), 1, "theirs.safetensors was made for another model"),
        (("--lora", "x", "--lora-strength", 3), 2, "LoRA strength must be 2"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(draw, cogvideox, arguments, code, words) -> None:
    Path("notes.safetensors").write_text("these are notes")
    write_lora(cogvideox, Path("theirs.safetensors").absolute())
    found, out, err = draw(*arguments)
    assert found == code and out == "" and words in err.splitlines()[-1]
    assert not list(Path().glob("*.mp4"))
