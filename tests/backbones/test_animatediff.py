"""What only AnimateDiff does: schedulers of many kinds, layers of many grids, images that are coded one by one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import (
    AnimateDiffPipeline,
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    LCMScheduler,
    LMSDiscreteScheduler,
    MotionAdapter,
    PNDMScheduler,
    UNet2DConditionModel,
    UNetMotionModel,
    UniPCMultistepScheduler,
)
from safetensors.torch import load_file
from test_parity import assert_parity, plain_loop
from tiny_models import save, tiny_animatediff

from pipelines.backbones import animatediff as module
from pipelines.backbones.animatediff import AnimateDiffBackbone
from pipelines.errors import NotAvailable, UserError
from pipelines.models.registry import TEXT_TO_VIDEO, entry

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}  # Stable Diffusion's
GENTLE = {"beta_start": 0.0001, "beta_end": 0.002}
SMALL = {"frames": 5, "height": 40, "width": 24}

LEVEL = {
    "ddim": DDIMScheduler(**BETAS, clip_sample=False, steps_offset=1),
    "ddim, v": DDIMScheduler(**BETAS, clip_sample=False, prediction_type="v_prediction"),
    "ddpm": DDPMScheduler(**BETAS, clip_sample=False),
    "pndm": PNDMScheduler(**BETAS, skip_prk_steps=True, steps_offset=1),
    "lcm": LCMScheduler(**BETAS, clip_sample=False),
    "dpm": DPMSolverMultistepScheduler(**BETAS),
    "dpm, stochastic": DPMSolverMultistepScheduler(**BETAS, algorithm_type="sde-dpmsolver++"),
    "unipc": UniPCMultistepScheduler(**BETAS),
}
SPREAD = {
    "euler": EulerDiscreteScheduler(**GENTLE),
    "euler, leading": EulerDiscreteScheduler(**GENTLE, timestep_spacing="leading", steps_offset=1),
    "euler, trailing": EulerDiscreteScheduler(**GENTLE, timestep_spacing="trailing"),
    "euler, karras": EulerDiscreteScheduler(**GENTLE, use_karras_sigmas=True),
    "ancestral": EulerAncestralDiscreteScheduler(**GENTLE),
    "lms": LMSDiscreteScheduler(**GENTLE),
}


# --- parity ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("guidance", "size"), [(5.0, SMALL), (1.0, {})])
@pytest.mark.parametrize("name", LEVEL)
def test_parity_with_schedulers_that_count_as_the_model_does(animatediff, name, guidance, size):
    animatediff.pipeline.scheduler = LEVEL[name]
    assert_parity(animatediff, guidance, **size)


@pytest.fixture
def calm(animatediff):
    """With small predictions: an untrained model makes a thousandfold of the rounding of a conversion within a few steps."""
    for parameter in animatediff.transformer.conv_out.parameters():
        parameter.mul_(0.2)
    return animatediff


@pytest.mark.parametrize(("guidance", "size"), [(3.0, {}), (1.0, SMALL)])
@pytest.mark.parametrize("name", SPREAD)
def test_parity_with_schedulers_that_scale_what_the_model_is_given(calm, name, guidance, size):
    calm.pipeline.scheduler = SPREAD[name]
    assert_parity(calm, guidance, **size)


@pytest.mark.parametrize("name", SPREAD)
def test_latents_are_mixed_as_their_level_says_whatever_the_scheduler_counts_in(animatediff, name):
    """A model that is never wrong walks along the levels, so a clip mixed at any of them can be given to the model."""
    animatediff.pipeline.scheduler = SPREAD[name]
    clean, noise = torch.randn(2, 1, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    schedule = animatediff.schedule(6, clean, seed=1)
    latents = schedule.level(0).mix(clean, noise)
    for index in range(len(schedule)):
        level = schedule.level(index)
        truth = (latents - level.signal * clean) / level.noise
        assert name == "ancestral" or torch.allclose(truth, noise, atol=1e-3)  # that one adds noise of its own
        assert truth.std() < 1.1
        assert torch.allclose(schedule.clean(truth, index, latents), clean, atol=1e-5)
        latents = schedule.step(truth, index, latents)
    assert torch.allclose(latents, clean, atol=1e-5)


def test_the_pure_noise_of_a_scheduler_that_scales_is_that_of_its_first_level(animatediff):
    animatediff.pipeline.scheduler = EulerDiscreteScheduler(**BETAS)
    noise = animatediff.initial_noise(9, 32, 48, 0)
    assert torch.isclose(noise.std(), torch.tensor(animatediff.schedule(6, noise).level(0).noise), rtol=0.02)


def test_other_schedulers_are_refused_in_a_sentence(animatediff):
    animatediff.pipeline.scheduler = FlowMatchEulerDiscreteScheduler()
    for call in (lambda: animatediff.initial_noise(9, 32, 48, 0), lambda: animatediff.schedule(5, torch.zeros(1, 4, 9, 8, 12))):
        with pytest.raises(UserError, match=r"FlowMatchEulerDiscreteScheduler, which is not supported: .* DDIMScheduler"):
            call()


def test_a_stochastic_run_is_repeated_by_its_seed(animatediff):
    animatediff.pipeline.scheduler = LEVEL["ddpm"]
    assert torch.equal(plain_loop(animatediff, 3.0), plain_loop(animatediff, 3.0))


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 3, 9])
def test_pictures_are_coded_in_pieces_of_bounded_size(animatediff, monkeypatch, frames):
    """With two frames of this size at once the clip is the same, and no more than two go through."""
    clip = (torch.rand(frames, 32, 48, 3, generator=torch.Generator().manual_seed(0)) * 255).byte().numpy()
    latents = animatediff.encode_video(clip)
    decoded = animatediff.decode_video(latents)
    monkeypatch.setattr(module, "AT_ONCE", 2 * 32 * 48 + 1)
    sizes: list[int] = []
    for part in (animatediff.vae.encoder, animatediff.vae.decoder):
        part.register_forward_pre_hook(lambda part, inputs: sizes.append(len(inputs[0])))
    assert torch.allclose(animatediff.encode_video(clip), latents, atol=1e-5)
    assert abs(animatediff.decode_video(latents).astype(int) - decoded).max() <= 1
    assert max(sizes) == min(frames, 2) and sum(sizes) == 2 * frames


def test_clips_longer_than_the_motion_modules_know_are_refused(animatediff):
    assert animatediff.initial_noise(16, 32, 48, 0).shape[2] == 16
    with pytest.raises(UserError, match="at most 16 frames"):
        animatediff.initial_noise(17, 32, 48, 0)


# --- models ----------------------------------------------------------------------------------------------------------


def apart(pipeline: AnimateDiffPipeline, folder: Path) -> Path:
    """The same model with its UNet and its motion modules as parts of their own, as Stable Diffusion and an adapter come."""
    config = dict(pipeline.unet.config)
    plain = UNet2DConditionModel(
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=config["num_attention_heads"],
        **{name: config[name] for name in ("block_out_channels", "layers_per_block", "norm_num_groups", "cross_attention_dim")},
    )
    weights = pipeline.unet.state_dict()
    plain.load_state_dict({name: value for name, value in weights.items() if "motion_modules" not in name})
    pipeline.unet.save_motion_modules(folder / "motion_adapter")
    parts = {name: getattr(pipeline, name) for name in ("vae", "text_encoder", "tokenizer", "scheduler")}
    save(AnimateDiffPipeline(**parts, unet=pipeline.unet, motion_adapter=MotionAdapter.from_pretrained(folder / "motion_adapter")), folder)
    for file in (folder / "unet").iterdir():
        file.unlink()
    plain.save_pretrained(folder / "unet")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"unet": ["diffusers", "UNet2DConditionModel"]}))
    return folder


def test_a_unet_and_its_motion_modules_may_lie_apart(animatediff, tmp_path):
    folder = apart(tiny_animatediff(), tmp_path / "apart")
    backbone = AnimateDiffBackbone.load(folder)
    assert not any("motion_modules" in name for name in load_file(next((folder / "unet").glob("*.safetensors"))))
    assert isinstance(backbone.transformer, UNetMotionModel) and not backbone.transformer.training
    latents, text = animatediff.initial_noise(5, 32, 32, 0), animatediff.encode_text(["a red ball"])
    with torch.no_grad():
        expected = animatediff.denoise(latents, torch.tensor(500), text)
        assert torch.allclose(backbone.denoise(latents, torch.tensor(500), text), expected, atol=1e-6)
    assert entry(str(folder)).parameters == sum(value.numel() for value in animatediff.transformer.state_dict().values())


def test_a_folder_becomes_an_entry(animatediff, tiny_animatediff_folder):
    model = entry(str(tiny_animatediff_folder))
    assert (model.family, model.size_multiple, model.frame_step, model.can) == ("animatediff", 8, 1, (TEXT_TO_VIDEO,))
    assert model.parameters == sum(value.numel() for value in animatediff.transformer.state_dict().values())


def test_motion_modules_show_in_the_prediction(animatediff):
    """Frames know of each other: those of the tiny model are not without effect, as new ones are."""
    latents, text = animatediff.initial_noise(5, 32, 32, 0), animatediff.encode_text(["a red ball"])
    with torch.no_grad():
        before = animatediff.denoise(latents, torch.tensor(500), text)
        latents[:, :, 4] += 1
        after = animatediff.denoise(latents, torch.tensor(500), text)
    assert (after - before)[:, :, 0].abs().max() > 1e-2


def test_models_that_start_from_a_picture_are_refused():
    pipeline = tiny_animatediff()
    pipeline.unet.register_to_config(in_channels=9)
    with pytest.raises(NotAvailable, match="starts from a picture"):
        AnimateDiffBackbone(pipeline)


@pytest.mark.parametrize(("heads", "widest"), [(8, 8), ((5, 10, 20, 20), 20)])
def test_blocks_of_stable_diffusion(heads, widest):
    """Sizes of Stable Diffusion 1.5 and, with 64 channels per head, 2.1, at 16 frames of 512 x 320 (VideoCrafter2's)."""
    pipeline = tiny_animatediff()
    with torch.device("meta"):
        pipeline.unet = UNetMotionModel(cross_attention_dim=768, num_attention_heads=heads)
    backbone = AnimateDiffBackbone(pipeline)
    modules, blocks = dict(backbone.transformer.named_modules()), backbone.blocks()
    for block in blocks:
        for layer in (block, block.cross):
            assert modules[layer.name] is layer.attention and "motion_modules" not in layer.name
            assert layer.query is layer.attention.to_q and layer.key is layer.attention.to_k
            assert layer.value is layer.attention.to_v and layer.output is layer.attention.to_out[0]
    layout = backbone.tokens(torch.empty(1, 4, 16, 40, 64, device="meta"))
    own = [block.tokens(layout) for block in blocks]
    assert [grid.grid for grid in own[:7:2]] == [(16, 40, 64), (16, 20, 32), (16, 10, 16), (16, 5, 8)]
    assert [block.coarser for block in blocks] == [1, 1, 2, 2, 4, 4, 8, 4, 4, 4, 2, 2, 2, 1, 1, 1]
    assert [block.width("query") for block in blocks[:7]] == [320, 320, 640, 640, 1280, 1280, 1280]
    assert [block.index for block in blocks] == list(range(16)) and max(grid.heads for grid in own) == widest
    assert layout.heads == own[0].heads
