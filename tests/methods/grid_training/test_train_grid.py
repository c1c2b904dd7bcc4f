"""`train-grid` as a user runs it: folders of clips in, adapters out, which the grid command reads; what is wrong in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import run

from pipelines.errors import UserError
from pipelines.methods.grid.names import FILES
from pipelines.methods.grid.weights import open_concepts, open_lora
from pipelines.methods.grid_training.folders import survey
from pipelines.methods.grid_training.plan import check, estimate, plan
from pipelines.methods.grid_training.request import TrainGridRequest
from pipelines.methods.grid_training.run import refuse_another
from pipelines.models.registry import entry
from pipelines.video import write_clip

WORDS = ("a red ball", "a ball, snow", "a ball, sea", "a ball, grass")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread) -> Path:
    """Two concepts of four clips each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    for concept in ("ball", "star"):
        (tmp_path / "clips" / concept).mkdir(parents=True)
        for number, words in enumerate(WORDS):
            frames = np.full((5, 32, 32, 3), 60 * number, np.uint8)
            write_clip(tmp_path / "clips" / concept / f"{number}.png", frames, 8)
            (tmp_path / "clips" / concept / f"{number}.txt").write_text(words)
    return tmp_path


SMALL = ("--steps", 2, "--frames", 5, "--width", 32, "--height", 32, "--rank", 2, "--quiet")


def test_each_stage_becomes_an_adapter(capsys, home: Path, tiny_wan_folder: Path) -> None:
    for stage in ("dynamic", "consistent", "composition", "fill"):
        asked = ("train-grid", "--stage", stage, "--clips", "clips", "--model", tiny_wan_folder, *SMALL, "--out", "made")
        code, out, err = run(capsys, *asked)
        assert code == 0 and out.strip() == "made", err
        assert (home / "made" / FILES[stage]).is_file()
    assert open_lora(home / "made").card.base == str(tiny_wan_folder) and open_concepts(home / "made").rank == 2
    code, out, _ = run(capsys, *asked[:-1], "made", "--samples", 1, "--steps", 3)
    assert code == 0 and open_lora(home / "made").card.recipe["steps"] == 3
    code, _, err = run(capsys, *asked, "--rank", 4)
    assert code == 1 and "made otherwise" in err
    code, out, _ = run(capsys, *asked, "--estimate")
    assert code == 0 and "memory" in out


def test_drawn_concepts_need_no_files(capsys, home: Path, tiny_wan_folder: Path) -> None:
    code, _, err = run(capsys, "train-grid", "--stage", "dynamic", "--drawn", 1, "--model", tiny_wan_folder, *SMALL, "--out", "drawn")
    assert code == 0, err


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "what to learn from"),
        ({"clips": "a", "drawn": 3}, "what to learn from"),
        ({"drawn": 3, "stage": "dynamic", "samples": 2}, "Only fill"),
    ],
)
def test_what_cannot_be_trained(values: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        check(TrainGridRequest.read(values))


def test_folders_that_hold_no_concepts(home: Path) -> None:
    assert [[clip.words for clip in clips] for clips in survey(home / "clips", 4)] == [list(WORDS)] * 2
    with pytest.raises(UserError, match="ball holds 4 clips and a grid needs 5"):
        survey(home / "clips", 5)
    (home / "clips" / "ball" / "2.txt").write_text("a [ball]")
    with pytest.raises(UserError, match="brackets"):
        survey(home / "clips", 1)
    (home / "clips" / "ball" / "2.txt").unlink()
    with pytest.raises(UserError, match=r"2.png has no words"):
        survey(home / "clips", 1)
    for folder, says in (("gone", "no folder"), ("clips/star", "0 folders")):
        with pytest.raises(UserError, match=says):
            survey(home / folder, 1)


def test_folders_that_hold_something_else_are_left_alone(home: Path) -> None:
    (home / "made").mkdir()
    request = TrainGridRequest(drawn=1)
    refuse_another(home / "made", request)
    (home / "made" / "letter.txt").write_text("mine")
    with pytest.raises(UserError, match="something else"):
        refuse_another(home / "made", request)


def test_cells_are_snapped_and_costs_grow(tiny_cogvideox_folder: Path) -> None:
    model = entry("playground-wan")
    planned = plan(TrainGridRequest(drawn=1, width=50, frames=18), model)
    assert (planned.request.width, planned.request.frames, len(planned.notes)) == (48, 17, 2)
    costs = [estimate(TrainGridRequest(drawn=1, batch=batch), model, True).seconds for batch in (1, 4)]
    assert costs[1] == pytest.approx(4 * costs[0], rel=0.01)
    with pytest.raises(UserError, match="Wan family"):
        plan(TrainGridRequest(drawn=1), entry(str(tiny_cogvideox_folder)))
