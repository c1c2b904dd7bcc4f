"""`storyboard` as a user runs it: a board file in, a folder of clips out; what is wrong is said in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run

from pipelines.errors import UserError
from pipelines.methods.storyboard.boards import read_board
from pipelines.methods.storyboard.plan import anchors_of, check, drawn, estimate, plan, windows
from pipelines.methods.storyboard.request import StoryboardRequest
from pipelines.methods.storyboard.seeds import with_known_seeds
from pipelines.models.registry import entry
from pipelines.video import read_clip

SMALL = ("--steps", 2, "--width", 32, "--height", 32, "--frames", 5, "--masks", "attention", "--quiet")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    return tmp_path


def board(*texts: str, **values) -> StoryboardRequest:
    return StoryboardRequest.read({"prompt": "a red ball", "shots": [{"text": text} for text in texts]} | values)


def test_a_board_becomes_a_film_and_its_shots(capsys, home: Path, tiny_wan_folder: Path) -> None:
    values = {"character": "a red ball", "style": "watercolour", "shots": ["rolls", {"text": "jumps", "seed": 5}, "spins"]}
    (home / "b.json").write_text(json.dumps(values))
    asked = ("storyboard", "--board", "b.json", "--model", tiny_wan_folder, *SMALL, "--out", "film")
    code, out, _ = run(capsys, *asked)
    assert code == 0 and out.strip() == "film"
    names = sorted(file.name for file in (home / "film").iterdir())
    assert names == ["board.json", "film.mp4", *(f"shot-{number}{end}.mp4" for number in (1, 2, 3) for end in ("-alone", ""))]
    assert len(read_clip(home / "film" / "film.mp4")[0]) == 15
    kept = StoryboardRequest.from_json((home / "film" / "board.json").read_text())
    assert kept.shots[1].seed == 5 and all(shot.seed >= 0 for shot in kept.shots) and kept.words(0) == "a red ball rolls, watercolour"
    before = (home / "film" / "film.mp4").stat().st_mtime_ns
    code, _, err = run(capsys, *asked)
    assert code == 1 and "exists already" in err
    code, out, _ = run(capsys, "storyboard", "--board", "film/board.json", "--shot", 3, "--seed", 9, *SMALL, "--out", "film", "--json")
    assert code == 0 and json.loads(out.splitlines()[-1])["values"]["shots"] == [2]
    again = StoryboardRequest.from_json((home / "film" / "board.json").read_text())
    assert again.shots[:2] == kept.shots[:2] and again.shots[2].seed == 11
    assert (home / "film" / "film.mp4").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "no JSON"), ("[]", "no shots"), ('{"shots": [1]}', "Shot 1"), ('{"method": "generate", "request": {}}', "another method")],
)
def test_what_is_no_board_is_refused_in_a_sentence(capsys, home: Path, text: str, says: str) -> None:
    (home / "b.json").write_text(text)
    code, _, err = run(capsys, "storyboard", "--board", "b.json")
    assert code != 0 and says in err


def test_boards_are_read_from_lines_too() -> None:
    assert read_board("jumps\n\n spins \n") == {"shots": [{"text": "jumps"}, {"text": "spins"}]}
    assert StoryboardRequest.read(read_board('["a", {"text": "b", "seed": 3}]')).shots[1].seed == 3
    whole = board("a", "b", seed=4)
    assert StoryboardRequest.read(read_board(whole.to_json())) == whole
    with pytest.raises(UserError, match="at most 40"):
        read_board("jumps\n" * 41)


def test_anchors_that_were_removed_are_replaced() -> None:
    model = entry("playground-wan")
    assert anchors_of(board("a", "b", "c", anchors=(2, 7))) == (0, 2)
    assert anchors_of(board("a", anchors=(0, 1))) == (0,)
    planned = plan(board("a", "b", "c", anchors=(7, 2)), model)
    assert planned.request.anchors == (0, 2) and any("shots 1 and 3" in note for note in planned.notes)
    assert drawn(board("a", "b", "c", "d", only=(3,))) == (0, 1, 3)
    assert drawn(board("a", only=(0,))) == (0,)
    assert any("Shot 2 says nothing" in note for note in plan(board("a", " ", "a"), model).notes)


@pytest.mark.parametrize(
    ("values", "says"),
    [({"prompt": " "}, "character is empty"), ({"shots": []}, "no shots"), ({"only": (4,)}, "no shot 5"), ({"share_from": 100}, "sharing")],
)
def test_boards_that_cannot_be_drawn(values: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        check(board("a", "b", **values))


def test_the_sliders_stand_for_the_papers_numbers_in_the_middle() -> None:
    fields = StoryboardRequest.model_fields
    assert all(fields[name].default == value for name, value in windows(0.5, 0.5).items())
    assert windows(0, 0.5)["refine_until"] == windows(0, 0.5)["share_until"] == 950
    assert windows(1, 0)["share_until"] < windows(0.5, 0)["share_until"] and windows(0.5, 0)["dropout"] > 0
    for consistency in (0, 0.3, 1):
        for freedom in (0, 0.3, 1):
            check(board("a", "b", **windows(consistency, freedom)))


def test_a_board_costs_a_little_more_than_twice_its_shots() -> None:
    model = entry("playground-wan")
    one, four = (estimate(board(*"abcd"[:count]), model, on_disk=True).seconds for count in (1, 4))
    assert 8 * one < four < 9 * one


def test_seeds_are_drawn_once_for_a_board_that_goes_on(tmp_path: Path) -> None:
    asked = board("a", "b")
    first = with_known_seeds(asked, tmp_path)
    assert all(shot.seed >= 0 for shot in first.shots)
    assert with_known_seeds(asked, tmp_path) == first
    assert with_known_seeds(board("a", "c"), tmp_path).shots[1].text == "c"
    assert board("a", "b", seed=2**31 - 1).with_seed().shots[1].seed == 0
