"""The claims' measurement on a tiny model, every request really run; its figures mean nothing there, their algebra does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.backbones import open_store
from pipelines.evaluation.judge import Judge
from pipelines.evaluation.metrics import track_correlation
from pipelines.evaluation.segmenter import Segmenter
from pipelines.events import Result
from pipelines.methods import run
from pipelines.methods.appearance_warping import claims
from pipelines.methods.appearance_warping.claims import Claims, case_of, reference_pictures
from pipelines.models.registry import entry
from pipelines.playground.scene import HELD_OUT_INSTANCES, instance


@pytest.fixture
def measured(tiny_wan_folder, tmp_path, one_thread, monkeypatch) -> dict[str, float]:
    monkeypatch.setattr(claims, "SCENES", 1)
    store = open_store(tmp_path / "home", "cpu")
    model = replace(entry(str(tiny_wan_folder)), default_frames=5, default_height=32, default_width=32, default_steps=4)

    def finish(request) -> Result:
        *_, last = run(request, store)
        return last

    measure = Claims(model, finish, Judge.load(), Segmenter.load(), {"steps": 2, "rank": 4, "sample_every": 100})
    return {row.name.partition(": ")[2]: row.value for row in measure.rows(2)}


def test_every_figure_is_there_and_gains_are_between_the_ends(measured) -> None:
    ways = {*claims.WAYS, "another subject"}
    assert {name.partition(", ")[2] for name in measured if name.startswith("identity gain")} == ways
    assert all(-1 <= value <= 1.0001 for name, value in measured.items() if name.startswith("identity, "))
    assert measured["identity, true picture"] > measured["identity, not adapted"]
    assert measured["change outside of the subject, warp-unmasked"] >= 0
    assert measured["control, identity gain of another subject, negative"] == -measured["identity gain, another subject"]
    assert measured["seconds, warp, negative"] == -measured["seconds, warp"] < 0
    assert measured["seconds, adaptation"] > 0 and measured["seconds, warp"] > 0 and measured["peak memory in GB"] > 0.1
    assert {f"dynamic degree, {name}" for name in ("not adapted", "off", "warp", "queries too")} <= measured.keys()


def test_cases_and_references_show_the_instance_elsewhere() -> None:
    toy = instance(HELD_OUT_INSTANCES[0])
    first, second = (case_of(toy, index, (5, 48, 48)) for index in (0, 1))
    assert first.truth.shape == (5, 48, 48, 3) and first.words != second.words
    pictures = reference_pictures(toy, 0)
    assert len(pictures) == claims.REFERENCES and not np.array_equal(pictures[0], pictures[1])
    judge = Judge.load()
    same, other = (judge.embed(np.stack(reference_pictures(instance(HELD_OUT_INSTANCES[n]), n))) for n in (0, 3))
    own = judge.embed(first.truth)
    assert (own @ same.T).mean() > (own @ other.T).mean()


def test_tracks_correlate_along_the_axes_that_move() -> None:
    time = np.linspace(0, 1, 9)
    right = np.stack([20 * time, np.full(9, 5.0)], 1)
    assert track_correlation(right, right + 3) == pytest.approx(1)
    assert track_correlation(right, right * [-1, 1]) == pytest.approx(-1)
    assert track_correlation(right, right * 0) == 0
    assert np.isnan(track_correlation(right * 0, right)) and np.isnan(track_correlation(right * np.nan, right))
