"""The claims' measurement on a tiny model, every request really run; its figures mean nothing there, their algebra does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.backbones import open_store
from pipelines.evaluation.judge import Judge
from pipelines.evaluation.segmenter import Segmenter
from pipelines.methods import run
from pipelines.methods.grid.claims import OWN, TRUE, UNMASKED, WRONG, Claims, Filled, case_of, share_of_way
from pipelines.models.registry import entry


@pytest.fixture
def measured(tiny_wan_folder, fill_folder, tmp_path, one_thread, loaded):
    store, backbone = open_store(tmp_path / "home", "cpu"), loaded["wan"]
    model = replace(entry(str(tiny_wan_folder)), default_frames=5, default_height=64, default_width=64, default_steps=2)
    claims = Claims(
        model, lambda request: list(run(request, store))[-1], Judge.load(), Segmenter.load(),
        lambda frames: backbone.decode_video(backbone.encode_video(frames)), str(fill_folder),
    )  # fmt: skip
    return {row.name.partition(": ")[2]: row for row in claims.rows(2)}


def test_every_figure_and_every_bar_is_there(measured) -> None:
    barred = {name: row.bar for name, row in measured.items() if row.bar is not None}
    assert {"the effect is seen in the cell": 0.8, "cells with effect, identity and motion": 0.6}.items() <= barred.items()
    assert barred["seconds for a grid, negative"] == -60 and barred["visible cell, PSNR to its round trip in dB"] == 40
    assert measured["visible cell, PSNR to its round trip in dB"].value == 100, "to the bit"
    assert measured[f"attention to words of other cells, {OWN}"].value == 0
    assert measured[f"attention to words of other cells, {UNMASKED}"].value > 0
    assert 0 < measured["enlarged by lanczos, PSNR to the true picture in dB"].value < 100
    assert all(f"{name}, {way}" in measured for name in ("identity", "the effect is seen") for way in (OWN, WRONG, TRUE))


def test_cases_are_held_out_and_take_turns() -> None:
    cases = [case_of(index) for index in range(10)]
    assert len({case.toy.emblem for case in cases}) == 10 and all(
        case.toy.emblem >= 100_000 and case.scene.seed >= 1_000_000 for case in cases
    )
    assert len({effects for case in cases for effects in case.effects}) == 5 and len({case.toy.motion for case in cases}) == 8
    assert all(len(set(case.effects)) == 3 == len(set(case.words)) for case in cases)


def test_all_three_must_hold_in_the_same_cell() -> None:
    assert Filled(True, 0.4, 0.7).all and not Filled(False, 1.0, 1.0).all and not Filled(True, 0.3, 1.0).all
    assert not Filled(True, float("nan"), 1.0).all and not Filled(True, 1.0, float("nan")).all
    assert share_of_way(0.5, 0.2, 0.8) == pytest.approx(0.5) and np.isnan(share_of_way(1, 1, 1))
