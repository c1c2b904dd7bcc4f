"""Windows carry over to other depths and schedules, are inclusive, and never empty."""

from __future__ import annotations

import pytest
from diffusers import UniPCMultistepScheduler

from pipelines.attention.windows import Window, layer_window, noise_window, step_window


def test_layers_of_the_paper_are_those_layers():
    assert list(layer_window(20, 29, of=42).layers(42)) == list(range(20, 30))
    assert list(layer_window(12, 12, of=42).layers(42)) == [12]
    assert list(layer_window(0, 41, of=42).layers(42)) == list(range(42))


@pytest.mark.parametrize("depth", range(1, 60))
def test_layers_exist_and_are_never_none(depth):
    for first in range(42):
        layers = layer_window(first, min(first + 3, 41), of=42).layers(depth)
        assert len(layers) >= 1 and 0 <= layers[0] <= layers[-1] < depth


def test_fractions_are_rounded_to_the_nearest_layer():
    assert list(layer_window(20, 29, of=42).layers(10)) == [5, 6, 7]  # 4.76 and 6.90
    assert list(layer_window(12, 12, of=42).layers(8)) == [2]  # 2.29
    assert list(Window("layers", 0.5, 0.5).layers(5)) == [3]  # 2.5 goes up, always


def test_steps_of_the_paper_are_those_steps():
    window = step_window(3, 19, of=50)
    assert window.steps(range(50)) == list(range(3, 20))
    assert window.steps(range(20)) == list(range(1, 9))


def test_noise_is_compared_with_the_schedulers_timesteps():
    """Under a shifted schedule noise and step fractions differ greatly."""
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0)
    scheduler.set_timesteps(50)
    steps = noise_window(550, 950).steps(scheduler.timesteps)
    inside = [550 <= level <= 950 for level in scheduler.timesteps.tolist()]
    assert steps == [index for index, hit in enumerate(inside) if hit]
    assert steps[0] > 0.15 * 50 and steps[-1] > 0.75 * 50


def test_noise_between_two_steps_takes_the_nearest():
    assert noise_window(500, 510).steps([900, 530, 100]) == [1]
    assert noise_window(900, 900).steps([900, 530, 100]) == [0]


@pytest.mark.parametrize("ends", [("layers", 0.6, 0.5), ("layers", -0.1, 0.5), ("steps", 0, 1.1), ("noise", 0, 1001), ("frames", 0, 1)])
def test_impossible_windows_are_refused(ends):
    with pytest.raises(ValueError):
        Window(*ends)


def test_units_are_not_mixed_up():
    with pytest.raises(ValueError, match="counts steps"):
        step_window(0, 3, of=10).layers(10)
    with pytest.raises(ValueError, match="counts layers"):
        layer_window(0, 3, of=10).steps(range(10))
