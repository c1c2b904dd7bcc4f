"""`grid` as a user runs it: clips and words in, the grid and its cells out."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import run
from grid_clips import noise_clip

from pipelines.cli.command import UsageError
from pipelines.cli.commands.grid import cell_of, cells_of
from pipelines.errors import UserError
from pipelines.methods.grid.layout import Layout
from pipelines.video import read_clip, read_request, write_clip

SMALL = ("--width", 64, "--height", 64, "--frames", 5, "--steps", 1, "--quiet")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    write_clip(tmp_path / "a.mp4", noise_clip(5, 32, 32), 8)
    return tmp_path


def test_a_clip_and_words_become_a_grid_and_its_cells(capsys, home: Path, tiny_wan_folder, fill_folder) -> None:
    cells = [
        word for cell in ("top-left=a.mp4:a ball", "top-right=snow", "Bottom Left=sea", "bottom-right=grass") for word in ("--cell", cell)
    ]
    model = ("--model", tiny_wan_folder, "--adapter", fill_folder)
    code, out, err = run(capsys, "grid", *cells, *model, *SMALL, "--out", "g.mp4", "--cells-dir", "cells")
    assert code == 0 and out.strip() == "g.mp4", err
    assert {file.name for file in (home / "cells").iterdir()} == {
        f"{line}-{place}.mp4" for line in ("top", "bottom") for place in ("left", "right")
    }
    assert read_clip(home / "cells" / "top-left.mp4")[0].shape == (5, 64, 64, 3)
    request = read_request(home / "g.mp4")
    assert request.method == "grid" and request.cells[0].text == "a ball" and request.cells[2].text == "sea"
    code, _, err = run(capsys, "grid", *cells, *model, *SMALL, "--out", "h.mp4", "--cells-dir", "cells")
    assert code == 1 and "exists already" in err
    code, out, _ = run(capsys, "grid", "--request", "g.mp4", "--estimate")
    assert code == 0 and "memory" in out
    code, out, _ = run(capsys, "grid", "--layout", "1x3", "--cell", "middle=snow", "--prompt", "a ball", *model, "--estimate")
    assert code == 0 and "memory" in out


@pytest.mark.parametrize("cell", ["middle=a", "top-left", "=a"])
def test_places_that_are_not_there(capsys, home: Path, cell: str) -> None:
    code, _, err = run(capsys, "grid", "--cell", cell)
    assert code == 2 and "top-left, top-right" in err


def test_cells_are_clips_words_or_both(home: Path) -> None:
    assert cell_of("a.mp4") == {"clip": "a.mp4"} and cell_of("a.mp4: a ball") == {"clip": "a.mp4", "text": "a ball"}
    assert cell_of("rain: much of it") == {"text": "rain: much of it"}
    with pytest.raises(UserError, match="no clip"):
        cell_of("gone.mp4")
    with pytest.raises(UsageError, match="twice"):
        cells_of(["left=a", "left=b"], Layout(1, 3))
