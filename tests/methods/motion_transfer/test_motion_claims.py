"""The claims of motion transfer: every figure is measured, and the curves are drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.backbones import open_store
from pipelines.evaluation.judge import Judge
from pipelines.evaluation.rows import Row
from pipelines.evaluation.segmenter import Segmenter
from pipelines.events import Result
from pipelines.methods import run
from pipelines.methods.motion_transfer import claims
from pipelines.methods.motion_transfer.claims import CLASSES, Claims, case_of, draw_curves
from pipelines.models.registry import entry
from pipelines.playground.scene import HELD_OUT_SEEDS
from pipelines.playground.vocabulary import COLOURS, MOTIONS, PLACES, SHAPES


@pytest.fixture
def rows(tiny_wan_folder, tmp_path, one_thread, monkeypatch) -> list[Row]:
    monkeypatch.setattr(claims, "STRENGTHS", (0.0,))
    store = open_store(tmp_path / "home", "cpu")
    model = replace(entry(str(tiny_wan_folder)), default_frames=5, default_height=32, default_width=32, default_steps=2)

    def finish(request) -> Result:
        *_, last = run(request, store)
        return last

    return list(Claims(model, finish, Judge.load(), Segmenter.load()).rows(1))


def test_both_curves_and_the_bars_are_there(rows: list[Row], tmp_path) -> None:
    names = {row.name.rpartition(": ")[2] for row in rows}
    assert {"identity leak", "identity leak beyond the model's own", "the prompt's shape is seen"} <= names
    assert any("default strength" in row.name and row.bar == 0.85 for row in rows)
    leaks = [row.value for row in rows if row.name.endswith(": identity leak")]
    assert len(leaks) == 4 and all(-1 <= leak <= 1.0001 for leak in leaks)
    draw_curves(rows, tmp_path)
    assert [file.suffix for file in tmp_path.glob("motion-*.png")] == [".png"]


def test_cases_are_held_out_and_asked_for_in_other_looks_without_motion() -> None:
    cases = [case_of(index) for index in range(16)]
    assert {case.source.subjects[0].motion for case in cases} == set(claims.MOVING) <= set(MOTIONS)
    words = {word for ways in MOTIONS.values() for way in ways for word in way.split()}
    for case in cases:
        own = case.source.labels()
        assert case.source.seed in HELD_OUT_SEEDS and case.shapes["same class"] == own["shape"] != case.shapes["other class"]
        assert case.colour != own["colour"] and case.place != own["background"]
        assert case.colour in COLOURS and case.place in PLACES and case.shapes["other class"] in SHAPES
        for kind in CLASSES:
            assert not words & (set(case.prompt(kind).split()) - {"a", "the", "in", "on", "at", "up", "to", "from"})
    assert case_of(3) == case_of(3) and np.unique([case.seed for case in cases]).size == 16
