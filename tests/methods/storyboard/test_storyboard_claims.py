"""The claims of storyboards: every figure is measured and drawn, on boards that are not those of the tuning."""

from __future__ import annotations

from dataclasses import replace

from pipelines.backbones import open_store
from pipelines.evaluation.judge import Judge
from pipelines.methods import run
from pipelines.methods.storyboard import claims
from pipelines.methods.storyboard.claims import WAYS, Claims, board_of, draw_trade_off
from pipelines.methods.storyboard.request import StoryboardRequest
from pipelines.models.registry import entry


def test_every_way_is_measured_beside_the_shots_alone(tiny_wan_folder, tmp_path, one_thread, monkeypatch) -> None:
    monkeypatch.setattr(claims, "SHOTS", 2)
    store = open_store(tmp_path / "home", "cpu")
    model = replace(entry(str(tiny_wan_folder)), default_frames=5, default_height=32, default_width=32, default_steps=2)
    some = {name: WAYS[name] | {"masks": "attention"} for name in ("two phases", "shared attention alone")}
    rows = list(Claims(model, lambda request: run(request, store), Judge.load(), some).rows(1))
    names = {row.name.removeprefix(f"{model.name}: ") for row in rows}
    for way in ("two phases", "shared attention alone", "alone"):
        assert {f"{way}: {what}" for what in ("dynamic degree", "agreement with the prompts")} <= names
    assert any("seconds" in row.name and row.bar == -90 for row in rows)
    draw_trade_off(rows, tmp_path)
    assert len(list(tmp_path.glob("storyboard-*.png"))) == any("set consistency" in name for name in names)


def test_boards_differ_and_are_not_those_of_the_tuning() -> None:
    boards = [board_of(index) for index in range(12)]
    tuned = [board_of(index, tuning=True) for index in range(12)]
    assert board_of(3) == boards[3]
    assert not {str(board) for board in boards} & {str(board) for board in tuned}
    for board in boards:
        request = StoryboardRequest.read(board)
        assert len({shot.text for shot in request.shots}) == len(request.shots) == 4
    for settings in WAYS.values():
        assert set(settings) <= set(StoryboardRequest.model_fields)
