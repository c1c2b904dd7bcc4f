"""Training of the playground's AutoencoderKLWan: first per frame, then on cut-outs of clips of several sizes.

The order matters. The channel RMS norms starve under torch's default initialisation, so the convolutions start with unit
gain; and a causal video autoencoder learns much faster when it starts as a good image autoencoder, so in every temporal
kernel only the newest tap is non-zero at first.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d, WanResample, WanResidualBlock
from torch import nn
from torch.nn import functional as F

from pipelines.playground.train.clips import WorldClips, open_sets
from pipelines.playground.train.optimise import MuonAndAdamW
from pipelines.playground.train.precision import mixed
from pipelines.playground.train.run import Average, Budget, Run, descend, warm_then_cosine

CONFIG = {
    "base_dim": 16,
    "z_dim": 16,
    "dim_mult": [1, 2, 4],
    "num_res_blocks": 1,
    "temperal_downsample": [True, True],
    "scale_factor_temporal": 4,
    "scale_factor_spatial": 4,
    "latents_mean": [0.0] * 16,
    "latents_std": [1.0] * 16,
}
SHARES = {"frames": 0.25, "clips": 0.75}
"""Share of the time of each phase."""

FRAMES_PEAK, CLIPS_PEAK = 5e-4, 1.5e-4
"""Highest learning rates with two clips a step; they grow with the root of the batch."""

CROP = 64
"""Side in pixels of the cut-outs."""


def new_vae() -> AutoencoderKLWan:
    """An untrained autoencoder that starts as a per-frame one."""
    vae = AutoencoderKLWan(**CONFIG)
    for module in vae.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            nn.init.zeros_(module.bias)
    for module in vae.modules():
        if isinstance(module, WanCausalConv3d) and module.weight.shape[2] == 3 and module.weight.shape[3] > 1:
            _newest_tap_only(module)
        if isinstance(module, WanResidualBlock):
            module.conv2.weight.data.mul_(0.1)
        if isinstance(module, WanResample) and hasattr(module, "time_conv"):
            _pass_newest(module.time_conv)
    return vae


def _newest_tap_only(convolution: nn.Conv3d) -> None:
    """Zero the taps of the past; sqrt(3) keeps the variance."""
    convolution.weight.data[:, :, :-1] = 0
    convolution.weight.data[:, :, -1] *= math.sqrt(3)


def _pass_newest(convolution: nn.Conv3d, noise: float = 0.02) -> None:
    """A temporal resampling that hands the newest frame through (to both frames when it doubles them)."""
    convolution.weight.data.mul_(noise)
    channels = convolution.in_channels
    for part in range(convolution.out_channels // channels):
        newest = convolution.weight.data[part * channels : (part + 1) * channels, :, -1, 0, 0]
        newest += torch.eye(channels)


@contextmanager
def single_frames(vae: AutoencoderKLWan) -> Iterator[None]:
    """Within, causal convolutions of single frames run in two dimensions: the same numbers for a third of the work.

    A single frame meets only the newest tap, the others see the zeros before the clip.
    """
    convolutions = [m for m in vae.modules() if isinstance(m, WanCausalConv3d) and m.stride == (1, 1, 1)]
    for convolution in convolutions:
        convolution.forward = partial(_newest_tap, convolution)
    try:
        yield
    finally:
        for convolution in convolutions:
            del convolution.forward


def _newest_tap(convolution: WanCausalConv3d, x: torch.Tensor, cache_x: torch.Tensor | None = None) -> torch.Tensor:
    """(B, C, 1, H, W) through the newest tap of a causal convolution."""
    padding = convolution._padding[0]
    return F.conv2d(x[:, :, 0], convolution.weight[:, :, -1], convolution.bias, padding=padding)[:, :, None]


def loss_of(vae: AutoencoderKLWan, clips: torch.Tensor) -> torch.Tensor:
    """Reconstruction loss of (B, 3, T, H, W) clips in [-1, 1], and a bound on latent energy."""
    with single_frames(vae) if clips.shape[2] == 1 else nullcontext():
        latents = vae.encode(clips).latent_dist.mode().float()
        rebuilt = vae.decode(latents + 0.02 * torch.randn_like(latents)).sample.float()
    return picture_loss(rebuilt, clips) + 0.1 * F.relu(latents.pow(2).mean() - 1)


def picture_loss(rebuilt: torch.Tensor, clips: torch.Tensor) -> torch.Tensor:
    """MSE + 0.1 L1 + 0.05 L1 of the spatial differences."""
    edges = sum(F.l1_loss(rebuilt.diff(dim=axis), clips.diff(dim=axis)) for axis in (-1, -2))
    return F.mse_loss(rebuilt, clips) + 0.1 * F.l1_loss(rebuilt, clips) + 0.05 * edges


def train_vae(
    sets: Sequence[WorldClips], folder: Path, budget: Budget, device: str, *, batch: int = 2, start: Path | None = None,
    resume: bool = True, seed: int = 0,
) -> AutoencoderKLWan:  # fmt: skip
    """All phases on `sets` of clips of several sizes; returns the trained autoencoder with its latent statistics set.

    Args:
        batch: clips per step; steps of single frames hold six times as many. Two clips are a noisy guide: at three times
            these rates the colours drift.
        start: folder of a trained autoencoder to go on from; the single-frame phase is left out then.
    """
    torch.manual_seed(seed)
    vae = (AutoencoderKLWan.from_pretrained(start, torch_dtype=torch.float32) if start else new_vae()).to(device)
    rate = math.sqrt(batch / 2)
    phases = [
        Phase("frames", FRAMES_PEAK * rate, lambda draw, step: single(sets, draw, 6 * batch)),
        Phase("clips", CLIPS_PEAK * rate, partial(_mixed, sets, batch)),
    ]
    if start:
        del phases[0]
    for phase in phases:
        share = SHARES[phase.name] if len(phases) > 1 else 1.0
        train_phase(vae, phase, partial(loss_of, vae), folder, budget.part(share), device, resume, seed)
    set_statistics(vae, sets, device)
    return vae


def _mixed(sets: Sequence[WorldClips], batch: int, draw: np.random.Generator, step: int) -> torch.Tensor:
    """Moving cut-outs, and single frames at every sixth step."""
    return single(sets, draw, 6 * batch) if step % 6 == 5 else cut_outs(sets, draw, batch)


@dataclass(frozen=True)
class Phase:
    """One phase: name, highest learning rate, and what each step sees, (random numbers, step) -> (B, 3, T, H, W)."""

    name: str
    peak: float
    batch: Callable[[np.random.Generator, int], torch.Tensor]


def train_phase(
    vae: nn.Module, phase: Phase, loss: Callable[[torch.Tensor], torch.Tensor], folder: Path, budget: Budget, device: str, resume: bool,
    seed: int,
) -> None:  # fmt: skip
    """One phase with an optimiser of its own: the old one's moments would wreck the model at the switch. Leaves the averaged weights."""
    optimiser, average = MuonAndAdamW(vae, phase.peak, weight_decay=0.0), Average(vae, decay=0.995)
    state = {"model": vae, "optimiser": optimiser, "average": average}
    run = Run(folder, f"vae-{phase.name}", state, budget, seed, resume)

    def update(step: int, progress: float) -> float:
        optimiser.set_rate(warm_then_cosine(progress, step, peak=phase.peak))
        clips = phase.batch(np.random.default_rng((seed, step)), step).to(device)
        with mixed(device):
            value = loss(clips)
        return descend(value, vae, optimiser, average)

    run.loop(update)
    vae.load_state_dict(average.weights)


def train_decoder(
    vae: AutoencoderKLWan, sets: Sequence[WorldClips], folder: Path, budget: Budget, device: str, *, batch: int = 2,
    resume: bool = True, seed: int = 0,
) -> None:  # fmt: skip
    """Train the decoder alone, in place: latents stay as they are, so a transformer may learn on them at the same time."""
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)
    phase = Phase("decoder", CLIPS_PEAK * math.sqrt(batch / 2), lambda draw, step: cut_outs(sets, draw, batch))
    train_phase(vae, phase, partial(loss_of, vae), folder, budget, device, resume, seed)


def single(sets: Sequence[WorldClips], draw: np.random.Generator, size: int) -> torch.Tensor:
    """(B, 3, 1, S, S) float in [-1, 1]: cut-outs of single frames."""
    clips = sets[int(draw.integers(len(sets)))]
    chosen = [clips.frames(int(index)) for index in draw.integers(len(clips), size=size)]
    return to_tensor(np.stack([_cut(draw, frames)[(at := int(draw.integers(len(frames)))) : at + 1] for frames in chosen]))


def cut_outs(sets: Sequence[WorldClips], draw: np.random.Generator, size: int) -> torch.Tensor:
    """(B, 3, T, S, S) float in [-1, 1] around places where something moves, which is where detail is hard to keep."""
    clips = sets[int(draw.integers(len(sets)))]
    return to_tensor(np.stack([_cut(draw, clips.frames(int(index))) for index in draw.integers(len(clips), size=size)]))


def _cut(draw: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """(T, S, S, 3) of (T, H, W, 3): S = CROP, the centre drawn in proportion to the change over time."""
    change = np.abs(frames[::4] - frames[::4].mean(0)).mean((0, 3)) + 1.0
    place = int(draw.choice(change.size, p=(change / change.sum()).ravel()))
    corner = [max(0, min(at - CROP // 2, side - CROP)) for at, side in zip(divmod(place, change.shape[1]), change.shape, strict=True)]
    return frames[:, corner[0] : corner[0] + CROP, corner[1] : corner[1] + CROP]


def to_tensor(clips: np.ndarray) -> torch.Tensor:
    """(B, T, H, W, 3) uint8 -> (B, 3, T, H, W) float in [-1, 1]."""
    return torch.from_numpy(np.array(clips)).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


@torch.no_grad()
def set_statistics(vae: AutoencoderKLWan, sets: Sequence[WorldClips], device: str, count: int = 64) -> None:
    """Store each latent channel's mean and deviation over training clips in the configuration, as the real models do."""
    clips = [part.frames(index) for part in sets for index in range(min(count // len(sets), len(part)))]
    latents = [vae.encode(to_tensor(clip[None]).to(device)).latent_dist.mode()[0].flatten(1) for clip in clips]
    stacked = torch.cat(latents, 1)
    mean, deviation = stacked.mean(1), stacked.std(1)
    vae.register_to_config(latents_mean=mean.tolist(), latents_std=deviation.tolist())


@torch.no_grad()
def psnr(vae: AutoencoderKLWan, clips: np.ndarray, device: str = "cpu") -> float:
    """Mean PSNR in dB of (B, T, H, W, 3) uint8 clips after a round trip, pixels 0..1."""
    values = []
    for clip in clips:
        tensor = to_tensor(clip[None]).to(device)
        rebuilt = vae.decode(vae.encode(tensor).latent_dist.mode()).sample.clamp(-1, 1)
        values.append(-10 * torch.log10(((rebuilt - tensor) / 2).pow(2).mean()).item())
    return float(np.mean(values))


def main(flags: argparse.Namespace, device: str) -> None:
    """`train wan-vae`: the video autoencoder, into WORK/wan-vae/model."""
    folder = flags.work / "wan-vae"
    sets = open_sets(flags.sizes, flags.frames, flags.work / "world")
    start = flags.start and flags.start / "vae"
    budget = Budget.of(flags)
    vae = train_vae(sets, folder, budget, device, batch=flags.batch, start=start, resume=flags.resume, seed=flags.seed)
    vae.save_pretrained(folder / "model")


def main_of_decoder(flags: argparse.Namespace, device: str) -> None:
    """`train wan-decoder`: more training of the decoder alone, from WORK/wan-vae/model into WORK/wan-vae/refined."""
    folder = flags.work / "wan-vae"
    source = flags.start / "vae" if flags.start else folder / "model"
    vae = AutoencoderKLWan.from_pretrained(source, torch_dtype=torch.float32).to(device)
    sets = open_sets(flags.sizes, flags.frames, flags.work / "world")
    budget = Budget.of(flags)
    train_decoder(vae, sets, folder, budget, device, batch=flags.batch, resume=flags.resume, seed=flags.seed)
    vae.save_pretrained(folder / "refined")
