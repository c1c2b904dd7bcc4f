"""What the monitor took down becomes rows and a picture; of adapters that nobody looked at there is nothing."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from pipelines.methods.zero_shot_subject.gradients import PARTS, draw_phi, gradient_rows, looks_at


def test_the_course_of_phi_is_told_in_parts(tmp_path) -> None:
    looks = [{"step": 100 * step, "phi": 0.3 - 0.02 * step, "norm images": 2.0, "norm clips": 1.0} for step in range(2 * PARTS)]
    (tmp_path / "training.json").write_text(json.dumps({"gradients": looks}))
    rows = list(gradient_rows("m", "both", tmp_path))
    assert len(rows) == 3 * PARTS
    assert rows[0].name == f"m: phi, both, part 1 of {PARTS}" and rows[0].value == pytest.approx(0.29)
    assert rows[PARTS - 1].value == pytest.approx(0.3 - 0.02 * (2 * PARTS - 1.5))
    draw_phi(rows, tmp_path)
    assert Image.open(tmp_path / "phi.png").width > 300


def test_without_looks_there_are_no_rows(tmp_path) -> None:
    for text in (
        None,
        "{",
        "[]",
        "{}",
        '{"gradients": 5}',
        '{"gradients": [1, {"phi": 0.1}, {"phi": "a", "norm images": 1, "norm clips": 1}]}',
    ):
        if text is not None:
            (tmp_path / "training.json").write_text(text)
        assert looks_at(tmp_path) == [] and list(gradient_rows("m", "one", tmp_path)) == []
    draw_phi([], tmp_path)
