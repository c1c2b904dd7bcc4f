"""Rows of figures and the measures behind them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.evaluation.playground import directed_scenes, direction, psnr
from pipelines.evaluation.rows import Row, write_report
from pipelines.playground.scene import HELD_OUT_SEEDS


def test_a_row_has_mean_and_standard_error() -> None:
    row = Row.of("x", [1, 2, 3, 4], bar=2.5)
    assert row.value == 2.5 and row.holds
    assert row.standard_error == pytest.approx(np.std([1, 2, 3, 4], ddof=1) / 2)
    assert not Row.of("x", [1, 2], bar=1.6).holds
    assert Row.of("x", [1]).standard_error is None and Row.of("x", [1]).holds is None


def test_the_report_is_the_same_on_screen_and_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_report([Row.of("PSNR", [30.0, 31.0], bar=30)], tmp_path / "out.json", {"model": "m"})
    said, kept = capsys.readouterr().out, json.loads((tmp_path / "out.json").read_text())
    assert "30.5 ± 0.5" in said and "holds" in said
    assert kept["rows"] == [{"name": "PSNR", "value": 30.5, "standard_error": pytest.approx(0.5), "bar": 30, "holds": True}]
    assert kept["about"]["model"] == "m"


def test_psnr_of_known_errors() -> None:
    black = np.zeros((2, 4, 4, 3), np.uint8)
    assert psnr(black, black) == float("inf")
    assert psnr(black, black + 255) == 0
    assert psnr(black, black + 51) == pytest.approx(20 * np.log10(5))


def test_reported_scenes_are_held_out_and_go_all_four_ways() -> None:
    scenes = [scene for scene, _ in zip(directed_scenes(), range(8), strict=False)]
    assert all(scene.seed in HELD_OUT_SEEDS and scene.camera == "static" for scene in scenes)
    assert {scene.labels()["motion"] for scene in scenes} == {"left", "right", "rise", "fall"}


def test_the_direction_of_a_track() -> None:
    time = np.arange(17.0)
    ways = {"right": (2, 0.5), "left": (-2, 0.5), "fall": (0.1, 1), "rise": (0.1, -1)}
    for name, way in ways.items():
        track = 20 + time[:, None] * np.array(way) + np.sin(time)[:, None]
        track[3:6] = np.nan
        assert direction(track) == name
    assert direction(np.full((17, 2), np.nan)) is None
