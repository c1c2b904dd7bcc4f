"""The CogVideoX recipe: what it trains is what the pipeline samples with, and an interruption leaves no trace."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXPipeline, DDIMScheduler
from torch import nn

from pipelines.backbones.cogvideox import CogVideoXBackbone
from pipelines.backbones.schedule import Schedule
from pipelines.playground.train.clips import WorldClips
from pipelines.playground.train.cogvideox import (
    SCHEDULER,
    TextAndVideo,
    draw_timesteps,
    encoder_of,
    new_scheduler,
    rotary_of,
    train_cogvideox,
    velocity_loss,
)
from pipelines.playground.train.cogvideox_vae import gather_in_newest_tap, new_vae, quick, train_vae
from pipelines.playground.train.curve import read_losses
from pipelines.playground.train.export import export, write_recipe
from pipelines.playground.train.latents import Batch
from pipelines.playground.train.run import Budget
from pipelines.playground.train.teller import Teller
from pipelines.playground.train.tokenizer import MAX_TOKENS, new_tokenizer

PROMPT, NEGATIVE = "a red ball bounces on a beach", ""
FRAMES = 9


class Killed(Budget):
    """A budget under which the process dies when two steps are done."""

    def progress(self, step: int, seconds: float) -> float:
        if step == 2:
            raise KeyboardInterrupt
        return super().progress(step, seconds)


@pytest.fixture(scope="module", autouse=True)
def one_thread_only() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[WorldClips]:
    cache = tmp_path_factory.mktemp("world")
    sets = [WorldClips(cache, 8, (FRAMES, 16, 16)), WorldClips(cache, 8, (FRAMES, 16, 32), 32)]
    for clips in sets:
        clips.render_missing(1)
    return sets


@pytest.fixture(scope="module")
def vae_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vae")
    new_vae().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def trained(sets: list[WorldClips], vae_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[CogVideoXPipeline, Path]:
    """Four steps without an interruption: the pipeline and the folder of the training."""
    folder = tmp_path_factory.mktemp("whole")
    return train_cogvideox(sets, folder, vae_folder, Budget(1, 4, say_every=1), "cpu", batch=1), folder


@pytest.fixture(scope="module")
def exported(sets: list[WorldClips], trained: tuple[CogVideoXPipeline, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the trained model. Four steps leave its gates almost shut: they are opened, so that every part shows."""
    pipeline, _ = trained
    torch.manual_seed(0)
    with torch.no_grad():
        for name, weight in pipeline.transformer.named_parameters():
            if name.endswith("linear.weight") or name == "proj_out.weight":
                nn.init.normal_(weight, std=0.1)
    folder = tmp_path_factory.mktemp("models") / "cog"
    export(pipeline, folder, sets, encoder_of(pipeline.vae, "cpu"))
    return folder


@pytest.fixture(scope="module")
def backbone(exported: Path) -> CogVideoXBackbone:
    return CogVideoXBackbone.load(exported)


@torch.no_grad()
@pytest.mark.parametrize("shape", [(2, 3, 1, 16, 24), (1, 3, 9, 16, 16), (2, 3, 17, 8, 16)])
def test_the_quick_autoencoder_gives_the_same_numbers(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    vae, clips = new_vae(), torch.rand(shape) * 2 - 1
    latents = vae.encode(clips).latent_dist.mode()
    rebuilt = vae.decode(latents).sample
    with quick(vae):
        assert torch.allclose(vae.encode(clips).latent_dist.mode(), latents, atol=1e-4)
        assert torch.allclose(vae.decode(latents).sample, rebuilt, atol=1e-4)
    assert rebuilt.shape == shape
    assert all("forward" not in vars(module) for module in vae.modules())


@torch.no_grad()
def test_gathering_the_taps_changes_nothing_for_single_frames_and_frees_others_of_their_past() -> None:
    torch.manual_seed(0)
    vae, frames = new_vae(), torch.rand(2, 3, 9, 16, 16)
    before = vae.encode(frames[:, :, :1]).latent_dist.mode()
    gather_in_newest_tap(vae)
    assert torch.allclose(vae.encode(frames[:, :, :1]).latent_dist.mode(), before, atol=1e-4)
    features, _ = vae.encoder.conv_in(frames)
    alone, _ = vae.encoder.conv_in(frames[:, :, 5:6])
    assert torch.allclose(features[:, :, 5:6], alone, atol=1e-5)


def test_the_autoencoder_goes_on_after_a_kill_as_if_nothing_had_been(sets: list[WorldClips], tmp_path: Path) -> None:
    """Killed in the second phase: the first is not trained again, and the losses are those of a training in one go."""
    whole = train_vae(sets, tmp_path / "a", Budget(1, 5, say_every=1), "cpu", batch=1)
    with pytest.raises(KeyboardInterrupt):
        train_vae(sets, tmp_path / "b", Killed(1, 5, say_every=1, save_every=0), "cpu", batch=1)
    parts = train_vae(sets, tmp_path / "b", Budget(1, 5, say_every=1), "cpu", batch=1)
    assert read_losses(tmp_path / "a") == read_losses(tmp_path / "b")
    assert whole.config.scaling_factor == parts.config.scaling_factor != 1
    assert all(torch.equal(weight, parts.state_dict()[name]) for name, weight in whole.state_dict().items())


def test_the_transformer_goes_on_after_a_kill_as_if_nothing_had_been(
    sets: list[WorldClips], vae_folder: Path, trained: tuple[CogVideoXPipeline, Path], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_cogvideox(sets, tmp_path, vae_folder, Killed(1, 4, say_every=1, save_every=0), "cpu", batch=1)
    train_cogvideox(sets, tmp_path, vae_folder, Budget(1, 4, say_every=1), "cpu", batch=1)
    assert read_losses(tmp_path) == read_losses(trained[1])


def test_the_last_level_of_the_exported_scheduler_is_pure_noise(exported: Path) -> None:
    scheduler = CogVideoXDDIMScheduler.from_pretrained(exported / "scheduler")
    assert scheduler.alphas_cumprod[-1] == 0
    scheduler.set_timesteps(20)
    assert scheduler.timesteps[0] == 999, "sampling begins there"


def test_the_target_is_the_velocity_of_the_schedulers() -> None:
    """The loss is zero for v of diffusers' own DDIMScheduler, and that is 1 / (1-a) times the error of x0 for any other answer."""
    torch.manual_seed(0)
    scheduler, other = new_scheduler(), DDIMScheduler(**{k: v for k, v in SCHEDULER.items() if k != "snr_shift_scale"})
    latents, noise, timesteps = torch.randn(4, 16, 3, 4, 4), torch.randn(4, 16, 3, 4, 4), torch.tensor([0, 300, 700, 999])
    velocity = other.get_velocity(latents, noise, timesteps)
    answer = velocity + torch.randn_like(velocity)
    nothing = torch.full((4,), -1)
    silent = Batch(latents, torch.zeros(4, 1, 3, 4, 4), [], {"shape": nothing}, nothing, {})
    teller = Teller(16, {"shape": ["ball", "star"]})
    losses = [velocity_loss(lambda *_, v=v: v, scheduler, teller, silent, noise, timesteps, None, None) for v in (velocity, answer)]
    assert losses[0] < 1e-6
    signal = scheduler.alphas_cumprod[timesteps].float().view(-1, 1, 1, 1, 1)
    x0 = signal.sqrt() * scheduler.add_noise(latents, noise, timesteps) - (1 - signal).sqrt() * answer
    assert torch.allclose(losses[1], ((x0 - latents).pow(2) / (1 - signal)).mean(), rtol=1e-3)


def test_a_perfect_model_recovers_the_clean_latents() -> None:
    torch.manual_seed(0)
    scheduler, clean, latents = new_scheduler(), torch.randn(1, 16, 3, 4, 4), torch.randn(1, 16, 3, 4, 4)
    schedule = Schedule(scheduler, 20, "cpu")
    for index, timestep in enumerate(schedule.timesteps):
        signal = scheduler.alphas_cumprod[timestep]
        noise = (latents - signal.sqrt() * clean) / (1 - signal).sqrt()
        velocity = scheduler.get_velocity(clean, noise, timestep[None])
        assert torch.allclose(schedule.clean(velocity, index, latents), clean, atol=1e-4)
        latents = schedule.step(velocity, index, latents)
    assert torch.allclose(latents.float(), clean, atol=1e-4)


def test_timesteps_reach_both_ends_and_lean_to_noise() -> None:
    torch.manual_seed(0)
    drawn = draw_timesteps(20_000)
    assert drawn.min() == 0 and drawn.max() == 999
    assert abs((drawn < 500).float().mean() - 0.375) < 0.01


@torch.no_grad()
@pytest.mark.parametrize(("frames", "height", "width"), [(9, 32, 48), (1, 48, 48)])
def test_training_sees_the_model_as_sampling_does(backbone: CogVideoXBackbone, frames: int, height: int, width: int) -> None:
    """The same prediction from the recipe's forward pass and from the backbone: text states, positions and layouts agree."""
    model = TextAndVideo(len(backbone.pipeline.tokenizer))
    model.text_encoder.load_state_dict(backbone.pipeline.text_encoder.state_dict())
    model.transformer.load_state_dict(backbone.transformer.state_dict())
    latents, timestep = backbone.initial_noise(frames, height, width, 0), torch.tensor([700])
    tokens = backbone.pipeline.tokenizer([PROMPT], padding="max_length", max_length=MAX_TOKENS, return_tensors="pt")
    ours = model(latents, timestep, model.encode(tokens.input_ids), rotary_of(backbone.pipeline, latents))
    assert ours.std() > 0.01
    assert torch.allclose(ours, backbone.denoise(latents, timestep[0], backbone.encode_text([PROMPT])), atol=1e-5)


@torch.no_grad()
def test_the_plain_loop_equals_plain_diffusers(exported: Path, backbone: CogVideoXBackbone) -> None:
    pipeline = CogVideoXPipeline.from_pretrained(exported, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        PROMPT, NEGATIVE, height=32, width=48, num_frames=FRAMES, num_inference_steps=4, guidance_scale=4.0, output_type="latent",
        generator=torch.Generator().manual_seed(7), max_sequence_length=backbone.text_length,
    ).frames.transpose(1, 2)  # fmt: skip
    text, empty = backbone.encode_text([PROMPT, NEGATIVE]).chunk(2)
    latents = backbone.initial_noise(FRAMES, 32, 48, 7)
    schedule = backbone.schedule(4, latents, 7)
    for index, timestep in enumerate(schedule.timesteps):
        latents = schedule.step(backbone.guided(latents, timestep, text, empty, 4.0), index, latents)
    assert torch.isfinite(latents).all() and latents.std() > 0.1
    assert (latents - expected).abs().max() <= 1e-5
    assert backbone.decode_video(latents).shape == (FRAMES, 32, 48, 3)


def test_the_exported_folder_is_a_model_of_ours(exported: Path, backbone: CogVideoXBackbone, sets: list[WorldClips]) -> None:
    """Loaded through the backbone: sizes, text length, preview colours; small enough for the repository."""
    clip = np.array(sets[0].frames(0))
    latents = backbone.encode_video(clip)
    assert latents.shape == (1, 16, 5, 4, 4)
    assert backbone.text_length == backbone.pipeline.tokenizer.model_max_length == MAX_TOKENS
    assert backbone.has_colours and backbone.preview(latents).shape == (5, 4, 4, 3)
    assert len(backbone.blocks()) == 10
    megabytes = {part.name: sum(file.stat().st_size for file in part.iterdir()) / 1e6 for part in exported.iterdir() if part.is_dir()}
    assert megabytes["transformer"] < 9 and megabytes["vae"] < 3.5 and megabytes["text_encoder"] < 1.5


def test_training_goes_on_from_a_finished_model(exported: Path, backbone: CogVideoXBackbone) -> None:
    """Words keep their meaning though the vocabulary is built anew; the recipe of the beginning is kept with the new one."""
    tokenizer = new_tokenizer()
    model = TextAndVideo(len(tokenizer))
    model.load_trained(exported, tokenizer)
    ids = tokenizer([PROMPT], padding="max_length", max_length=MAX_TOKENS, return_tensors="pt").input_ids
    states = model.text_encoder(ids).last_hidden_state
    assert torch.allclose(states, backbone.encode_text([PROMPT]), atol=1e-5)
    write_recipe(exported, Namespace(seed=0, start=None), "cpu")
    write_recipe(exported, Namespace(seed=1, start=exported), "cpu")
    assert json.loads((exported / "recipe.json").read_text())["started_from"]["flags"] == {"seed": 0}
