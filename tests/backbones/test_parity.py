"""The plain loop with a backbone's verbs gives what the family's diffusers pipeline gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import CogVideoXDPMScheduler, FlowMatchEulerDiscreteScheduler, LTXPipeline
from tiny_models import tiny_cogvideox

from pipelines.backbones.cogvideox import CogVideoXBackbone

PROMPT, NEGATIVE = "a red ball rolls over the grass", "snow"
FRAMES, HEIGHT, WIDTH, STEPS, SEED = 9, 32, 64, 5, 7  # LTXPipeline takes multiples of 32 only
CLOSE = 1e-5


def plain_loop(backbone, guidance: float, height: int = HEIGHT, width: int = WIDTH, frames: int = FRAMES) -> torch.Tensor:
    text, empty = backbone.encode_text([PROMPT, NEGATIVE]).chunk(2)
    latents = backbone.initial_noise(frames, height, width, SEED)
    schedule = backbone.schedule(STEPS, latents, SEED)
    with torch.no_grad():
        for index, timestep in enumerate(schedule.timesteps):
            prediction = backbone.guided(latents, timestep, text, empty, guidance)
            latents = schedule.step(prediction, index, latents)
    return latents


def by_pipeline(backbone, guidance: float, output: str = "latent", height: int = HEIGHT, width: int = WIDTH, frames: int = FRAMES, **more):
    return backbone.pipeline(
        PROMPT,
        negative_prompt=NEGATIVE,
        height=height,
        width=width,
        num_frames=frames,
        num_inference_steps=STEPS,
        guidance_scale=guidance,
        generator=torch.Generator("cpu").manual_seed(SEED),
        max_sequence_length=backbone.text_length,
        output_type=output,
        **more,
    ).frames


def assert_parity(backbone, guidance: float, **size: int) -> None:
    more = {"frame_rate": backbone.frame_rate} if backbone.family == "ltx" else {}
    expected = by_pipeline(backbone, guidance, **size, **more)
    latents = plain_loop(backbone, guidance, **size)
    if backbone.family == "cogvideox":
        expected = expected.transpose(1, 2)
    if backbone.family == "ltx":
        expected = LTXPipeline._unpack_latents(expected, *latents.shape[2:])
    assert latents.shape == expected.shape
    assert expected.std() > 0.1
    assert (latents - expected).abs().max() <= CLOSE * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_parity_with_the_folders_own_scheduler(backbone, guidance):
    """UniPC on Wan, DDIM with v-prediction and zero terminal SNR on CogVideoX, Euler with a shift by the size on LTX."""
    assert_parity(backbone, guidance)


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_wan_parity_with_flow_match_euler(wan, guidance):
    wan.pipeline.scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    assert_parity(wan, guidance)


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_cogvideox_parity_with_the_stochastic_dpm_scheduler(cogvideox, guidance):
    cogvideox.pipeline.scheduler = CogVideoXDPMScheduler.from_config(cogvideox.pipeline.scheduler.config)
    assert_parity(cogvideox, guidance)


def test_cogvideox_parity_without_rotary_positions():
    assert_parity(CogVideoXBackbone(tiny_cogvideox(rotary=False)), 5.0)


@pytest.mark.parametrize(("height", "width"), [(32, 48), (48, 32), (64, 64)])
def test_cogvideox_parity_at_sizes_that_its_positions_are_cropped_to(cogvideox, height, width):
    assert_parity(cogvideox, 3.0, height=height, width=width)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize(("frames", "height", "width"), [(5, 64, 32), (17, 32, 32)])
def test_ltx_parity_at_other_sizes_which_shift_its_levels(ltx, guidance, frames, height, width):
    assert_parity(ltx, guidance, frames=frames, height=height, width=width)


def test_ltx_parity_at_another_frame_rate(ltx):
    ltx.frame_rate = 12
    assert_parity(ltx, 3.0)


def test_ltx_parity_with_a_fixed_shift(ltx):
    ltx.pipeline.scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    assert_parity(ltx, 3.0)


def test_decoding_equals_the_pipelines(backbone):
    expected = by_pipeline(backbone, 1.0, output="np")[0]
    frames = backbone.decode_video(plain_loop(backbone, 1.0))
    assert frames.shape == (FRAMES, HEIGHT, WIDTH, 3) and frames.dtype == np.uint8
    assert np.abs(frames / 255 - expected).max() <= 0.5 / 255 + 1e-4


def test_runs_do_not_share_scheduler_state(backbone):
    """UniPC remembers earlier steps: a run that stops half-way must not change the next."""
    first = plain_loop(backbone, 5.0)
    latents = backbone.initial_noise(FRAMES, HEIGHT, WIDTH, SEED)
    schedule, other = backbone.schedule(STEPS, latents, SEED), backbone.schedule(STEPS, latents, SEED)
    for index in range(2):
        latents = schedule.step(torch.ones_like(latents), index, latents)
        other.step(torch.zeros_like(latents), index, latents)
    assert torch.equal(plain_loop(backbone, 5.0), first)


def test_steps_out_of_order_are_refused(backbone):
    latents = backbone.initial_noise(FRAMES, HEIGHT, WIDTH, SEED)
    with pytest.raises(RuntimeError, match="Step 1"):
        backbone.schedule(STEPS, latents).step(latents, 1, latents)
