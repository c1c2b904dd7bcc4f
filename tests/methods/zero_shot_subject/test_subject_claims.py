"""The claims' measurement on a tiny model, every request really run; its figures mean nothing there, their algebra does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.backbones import open_store
from pipelines.evaluation.judge import Judge
from pipelines.events import Result
from pipelines.methods import run
from pipelines.methods.zero_shot_subject import claims
from pipelines.methods.zero_shot_subject.claims import Claims, gain, smoothness, wrong
from pipelines.models.registry import entry


@pytest.fixture
def measured(tiny_cogvideox_folder, write_adapter, tmp_path, one_thread, monkeypatch) -> dict[str, claims.Row]:
    monkeypatch.setattr(claims, "SCENES", 1)
    store = open_store(tmp_path / "home", "cpu")
    model = replace(entry(str(tiny_cogvideox_folder)), default_frames=9, default_height=32, default_width=32, default_steps=2)
    adapters = {
        name: str(write_adapter(tmp_path / name / "subject.safetensors", seed=seed)) for seed, name in enumerate(("dual", "images"))
    }

    def finish(request) -> Result:
        *_, last = run(request, store)
        return last

    return {row.name.partition(": ")[2]: row for row in Claims(model, finish, Judge.load(), adapters).rows(2)}


def test_every_figure_is_there_and_the_bars_are_for_the_first(measured) -> None:
    ways = {"picture without adapter", *(way for name in ("dual", "images") for way in (name, wrong(name), f"{name}, no picture"))}
    for figure in ("identity", "dynamic degree", "motion smoothness", "agreement with the prompt", "first frame like the picture"):
        assert {name.partition(", ")[2] for name in measured if name.startswith(f"{figure}, ") and " less " not in name} >= ways
    assert {name for name in measured if name.startswith("seconds, ")} == {f"seconds, {way}" for way in {*ways, claims.BASE}}
    assert all(-1 <= row.value <= 1.0001 for name, row in measured.items() if name.startswith("identity, "))
    barred = {name for name, row in measured.items() if row.bar is not None}
    assert barred <= {
        "identity gain, dual", "control, identity gain, dual, wrong picture, negative", "dynamic degree, share of the base's, dual",
    }  # fmt: skip
    smooth = [measured[f"motion smoothness, {name}"].value for name in ("dual", "images")]
    assert measured["motion smoothness, dual less images"].value == pytest.approx(smooth[0] - smooth[1])


def test_a_gain_is_a_share_of_the_way() -> None:
    assert [gain(value, 0.2, 0.6) for value in (0.2, 0.6, 0.4, 0.0)] == pytest.approx([0, 1, 0.5, -0.5])
    assert np.isnan(gain(0.5, 0.6, 0.6)) and np.isnan(gain(0.5, 0.6, 0.2))


def test_even_motion_is_smooth_and_jerks_are_not() -> None:
    ramp = np.broadcast_to(np.arange(0, 90, 10, np.uint8)[:, None, None, None], (9, 4, 4, 3))
    jerks = np.where(np.arange(9)[:, None, None, None] % 2, np.uint8(255), np.uint8(0)) * np.ones((9, 4, 4, 3), np.uint8)
    assert smoothness(ramp) == 1 and smoothness(jerks) == pytest.approx(0)
