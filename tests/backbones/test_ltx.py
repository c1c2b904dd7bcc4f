"""What only LTX-Video does: padding that is hidden, levels that follow the size of the clip, decoders that are told a noise level."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_models import tiny_ltx

from pipelines.backbones.ltx import DECODE_SEED, LTXBackbone
from pipelines.errors import NotAvailable

PROMPTS = ["a red ball", "a blue cube rolls over the grass"]


def by_mask(backbone, states: torch.Tensor, mask: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    """The transformer's own prediction for states of words and padding, with the tokenizer's mask; packed."""
    with torch.no_grad():
        return backbone.transformer(
            latents.flatten(2).transpose(1, 2),
            states,
            torch.full((len(latents),), 500.0),
            mask,
            *latents.shape[2:],
            rope_interpolation_scale=(4 / 25, 4, 4),
            return_dict=False,
        )[0]


def test_zero_states_mean_what_the_mask_means(ltx) -> None:
    states, mask, *_ = ltx.pipeline.encode_prompt(PROMPTS, do_classifier_free_guidance=False, max_sequence_length=16)
    text = ltx.encode_text(PROMPTS)
    assert torch.equal(text.any(-1), mask) and not mask.all()
    assert torch.equal(text[mask], states[mask]) and states[~mask].any()
    latents = ltx.initial_noise(9, 32, 32, 0).expand(2, -1, -1, -1, -1)
    with torch.no_grad():
        prediction = ltx.denoise(latents, torch.tensor(500.0), text).flatten(2).transpose(1, 2)
    assert torch.allclose(prediction, by_mask(ltx, states, mask, latents), atol=1e-6)
    assert not torch.allclose(prediction, by_mask(ltx, states, torch.ones_like(mask), latents), atol=1e-3)


def test_more_padding_changes_nothing(ltx) -> None:
    latents, text = ltx.initial_noise(9, 32, 32, 0), ltx.encode_text(PROMPTS[:1])
    with torch.no_grad():
        longer = ltx.denoise(latents, torch.tensor(500), torch.nn.functional.pad(text, (0, 0, 0, 5)))
        assert torch.allclose(longer, ltx.denoise(latents, torch.tensor(500), text), atol=1e-5)


def test_levels_follow_the_size_of_the_clip(ltx) -> None:
    small, large = (ltx.schedule(6, ltx.initial_noise(9, side, side, 0)) for side in (32, 64))
    assert (small.timesteps[1:-1] < large.timesteps[1:-1]).all()
    assert [schedule.level(5).noise for schedule in (small, large)] == pytest.approx([0.1, 0.1])  # shift_terminal


def test_a_single_step_goes_all_the_way(ltx) -> None:
    """Where the pipeline divides by zero."""
    latents = ltx.initial_noise(9, 32, 32, 0)
    schedule = ltx.schedule(1, latents)
    assert schedule.level(0).noise == 1
    assert torch.allclose(schedule.step(latents, 0, latents), torch.zeros_like(latents))
    assert ltx.pipeline.scheduler.config.shift_terminal == ltx.schedule(2, latents).scheduler.config.shift_terminal == 0.1


@pytest.fixture
def told(one_thread) -> LTXBackbone:
    """With a decoder that is told a noise level, as from LTX-Video 0.9.1 on."""
    return LTXBackbone(tiny_ltx(timestep_conditioning=True))


@pytest.mark.parametrize(("timestep", "noise"), [(0.05, 0.025), (0.0, 0.0), (0.3, 0.5)])
def test_a_decoder_that_is_told_a_noise_level_decodes_as_in_the_pipeline(told, timestep: float, noise: float) -> None:
    told.decode_timestep, told.decode_noise = timestep, noise
    latents = torch.randn(1, 4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    packed = latents.flatten(2).transpose(1, 2)
    expected = told.pipeline(
        PROMPTS[0], height=32, width=32, num_frames=9, num_inference_steps=2, guidance_scale=1.0, latents=packed, output_type="np",
        callback_on_step_end=lambda *_: {"latents": packed}, generator=torch.Generator().manual_seed(DECODE_SEED),
        decode_timestep=timestep, decode_noise_scale=noise, max_sequence_length=16,
    ).frames[0]  # fmt: skip
    frames = told.decode_video(latents)
    assert np.abs(frames / 255 - expected).max() <= 0.5 / 255 + 1e-4


def test_what_the_decoder_is_told_matters(told) -> None:
    latents, pictures = told.initial_noise(9, 32, 32, 0), []
    for told.decode_timestep, told.decode_noise in [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5)]:
        pictures.append(told.decode_video(latents).astype(int))
    assert all(np.abs(one - pictures[0]).max() > 2 for one in pictures[1:])


@pytest.mark.parametrize("timestep_conditioning", [True, False])
def test_decoders_that_add_noise_give_the_same_frames_again(one_thread, timestep_conditioning: bool) -> None:
    backbone = LTXBackbone(tiny_ltx(timestep_conditioning=timestep_conditioning, inject_noise=True))
    latents, state = backbone.initial_noise(9, 32, 32, 0), torch.get_rng_state()
    frames = backbone.decode_video(latents)
    assert torch.equal(torch.get_rng_state(), state), "the rest of the program draws what it would have drawn"
    torch.manual_seed(3)
    assert np.array_equal(backbone.decode_video(latents), frames)


def test_models_with_patches_are_refused() -> None:
    pipeline = tiny_ltx()
    pipeline.transformer.register_to_config(patch_size=2)
    with pytest.raises(NotAvailable, match="patches"):
        LTXBackbone(pipeline)
