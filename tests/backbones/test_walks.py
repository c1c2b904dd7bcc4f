"""A denoising that is taken up elsewhere goes on as if nothing had happened, with schedulers that remember and that draw noise."""

from __future__ import annotations

import pytest
import torch
from diffusers import CogVideoXDPMScheduler, DDIMScheduler, DDPMScheduler, EulerAncestralDiscreteScheduler, UniPCMultistepScheduler

from pipelines.backbones.schedule import DiffusionSchedule, DPMSchedule, Schedule

STEPS = 6


def of_wan() -> Schedule:
    return Schedule(UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0), STEPS, "cpu")


def of_cogvideox() -> Schedule:
    scheduler = CogVideoXDPMScheduler(rescale_betas_zero_snr=True, timestep_spacing="trailing", prediction_type="v_prediction")
    return DPMSchedule(scheduler, STEPS, "cpu", torch.Generator().manual_seed(3))


def of_stable_diffusion(scheduler, spread: bool = False) -> Schedule:
    return DiffusionSchedule(scheduler, STEPS, "cpu", torch.Generator().manual_seed(3), spread)


WALKS = {
    "wan": of_wan,
    "cogvideox": of_cogvideox,
    "ddim": lambda: of_stable_diffusion(DDIMScheduler()),
    "ddpm": lambda: of_stable_diffusion(DDPMScheduler()),
    "euler": lambda: of_stable_diffusion(EulerAncestralDiscreteScheduler(), spread=True),
}


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_goes_on_from_its_state(name: str) -> None:
    first, second = WALKS[name](), WALKS[name]()
    latents = torch.randn(1, 4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    for index in range(3):
        latents = first.step(torch.sin(latents), index, latents)
    second.go_on(first.state())
    mine, its = latents, latents.clone()
    for index in range(3, STEPS):
        mine, its = first.step(torch.sin(mine), index, mine), second.step(torch.sin(its), index, its)
    assert torch.isfinite(mine).all() and torch.equal(mine, its)
