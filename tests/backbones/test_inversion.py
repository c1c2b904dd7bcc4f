"""Inversion: what it yields belongs together, and with a model that is never wrong it is exact."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from diffusers import CogVideoXDDIMScheduler, UniPCMultistepScheduler

from pipelines.attention.edits import recording
from pipelines.backbones.inversion import invert
from pipelines.backbones.schedule import Level, Schedule

KINDS = ("flow_prediction", "v_prediction", "epsilon", "sample")


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_prediction_is_split_into_picture_and_noise(kind: str) -> None:
    clean, noise = torch.randn(2, 1, 4, 3, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = (0.3, 0.7) if kind == "flow_prediction" else (0.6, 0.8)
    level = Level(*weights, kind)
    found = level.split(level.target(clean, noise), level.mix(clean, noise))
    assert torch.allclose(found[0], clean) and torch.allclose(found[1], noise)


SCHEDULERS = {
    "cogvideox, zero terminal signal": CogVideoXDDIMScheduler(
        rescale_betas_zero_snr=True, timestep_spacing="trailing", prediction_type="v_prediction", snr_shift_scale=1.0
    ),
    "wan": UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_with_a_model_that_is_never_wrong_the_trajectory_is_exact(name: str) -> None:
    clean, noise = torch.randn(2, 1, 4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    schedule = Schedule(SCHEDULERS[name], 12, "cpu")
    levels = {float(timestep): schedule.level(index) for index, timestep in enumerate(schedule.timesteps)}
    levels[0.0] = schedule.level(0).without_noise
    oracle = SimpleNamespace(denoise=lambda latents, timestep, text: levels[float(timestep)].target(clean, noise))
    steps = list(invert(oracle, clean, schedule, torch.zeros(1)))
    assert [index for index, _ in steps] == list(range(11, -1, -1))
    for index, latents in steps:
        assert torch.allclose(latents, schedule.level(index).mix(clean, noise), atol=1e-5)


def test_the_recorded_features_are_those_of_a_reference_branch(backbone) -> None:
    """At each level, a forward pass at the yielded latents says what the recording holds already."""
    clean = backbone.initial_noise(5, 32, 32, seed=1)
    text = backbone.encode_text(["a red ball rolls over the grass"])
    schedule = backbone.schedule(4, clean)
    layout, blocks = backbone.tokens(clean), backbone.blocks()
    with recording(blocks, "query", layout, layers=[1]) as branch, recording(blocks, "query", layout, layers=[1]) as again:
        for index, latents in invert(backbone, clean, schedule, text):
            recorded = branch.latest(1)
            with torch.no_grad():
                backbone.denoise(latents, schedule.timesteps[index], text)
            assert torch.allclose(again.latest(1), recorded, atol=1e-5)
    assert torch.isfinite(schedule.step(torch.zeros_like(clean), 0, clean)).all()  # the schedule can still be walked
