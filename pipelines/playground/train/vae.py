"""Training of the playground's AutoencoderKLWan: first per frame, then on whole clips, then on what moves in them.

The order matters. The channel RMS norms starve under torch's default initialisation, so the convolutions start with unit
gain; and a causal video autoencoder learns much faster when it starts as a good image autoencoder, so in every temporal
kernel only the newest tap is non-zero at first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
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

from pipelines.playground.train.clips import WorldClips
from pipelines.playground.train.run import Budget, Run, warm_then_cosine

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
SHARES = {"frames": 0.2, "clips": 0.4, "details": 0.4}
"""Share of the time of each phase."""

CROP = 32
"""Side in pixels of the cut-outs of the last phase."""


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
    latents = vae.encode(clips).latent_dist.mode()
    rebuilt = vae.decode(latents + 0.02 * torch.randn_like(latents)).sample
    return picture_loss(rebuilt, clips) + 0.1 * F.relu(latents.pow(2).mean() - 1)


def picture_loss(rebuilt: torch.Tensor, clips: torch.Tensor) -> torch.Tensor:
    """MSE + 0.1 L1 + 0.05 L1 of the spatial differences."""
    edges = sum(F.l1_loss(rebuilt.diff(dim=axis), clips.diff(dim=axis)) for axis in (-1, -2))
    return F.mse_loss(rebuilt, clips) + 0.1 * F.l1_loss(rebuilt, clips) + 0.05 * edges


def train_vae(clips: WorldClips, folder: Path, budget: Budget, device: str, resume: bool = True, seed: int = 0) -> AutoencoderKLWan:
    """All phases; returns the trained autoencoder with its latent statistics set."""
    torch.manual_seed(seed)
    vae = new_vae().to(device)
    phases = [
        Phase("frames", 1e-3, lambda draw, step: whole(clips, draw, 12, single=True)),
        Phase("clips", 4e-4, lambda draw, step: whole(clips, draw, 12 if step % 10 == 9 else 2, single=step % 10 == 9)),
        Phase("details", 5e-4, lambda draw, step: whole(clips, draw, 2) if step % 6 == 5 else cut_outs(clips, draw, 4)),
    ]
    for index, phase in enumerate(phases):
        _train(vae, phase, folder, _part(budget, SHARES[phase.name]), device, resume, seed + index)
    set_statistics(vae, clips, device)
    return vae


@dataclass(frozen=True)
class Phase:
    """One phase: name, highest learning rate, and what each step sees, (random numbers, step) -> (B, 3, T, H, W)."""

    name: str
    peak: float
    batch: Callable[[np.random.Generator, int], torch.Tensor]


def _part(budget: Budget, share: float) -> Budget:
    return Budget(budget.minutes * share, round(budget.steps * share) if budget.steps else None)


def _train(vae: AutoencoderKLWan, phase: Phase, folder: Path, budget: Budget, device: str, resume: bool, seed: int) -> None:
    """One phase with an optimiser of its own: the old one's moments would wreck the model at the switch."""
    optimiser = torch.optim.AdamW([p for p in vae.parameters() if p.requires_grad], lr=phase.peak, betas=(0.9, 0.95), weight_decay=0.0)
    run = Run(folder, f"vae-{phase.name}", {"model": vae, "optimiser": optimiser}, budget, seed, resume)

    def update(step: int, progress: float) -> float:
        for group in optimiser.param_groups:
            group["lr"] = warm_then_cosine(progress, step, peak=phase.peak)
        clips = phase.batch(np.random.default_rng((seed, step)), step).to(device)
        with single_frames(vae) if clips.shape[2] == 1 else nullcontext():
            loss = loss_of(vae, clips)
            optimiser.zero_grad()
            loss.backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        return loss.item()

    run.loop(update)


def train_decoder(vae: AutoencoderKLWan, clips: WorldClips, folder: Path, budget: Budget, device: str, resume: bool, seed: int = 0) -> None:
    """Train the decoder alone, in place: latents stay as they are, so a transformer may learn on them at the same time."""
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)
    _train(vae, Phase("decoder", 4e-4, lambda draw, step: whole(clips, draw, 2)), folder, budget, device, resume, seed)


def whole(clips: WorldClips, draw: np.random.Generator, size: int, single: bool = False) -> torch.Tensor:
    """(B, 3, T, H, W) float in [-1, 1] of randomly drawn clips, or of one frame of each."""
    chosen = [clips.frames(int(index)) for index in draw.integers(len(clips), size=size)]
    if single:
        chosen = [frames[(at := int(draw.integers(len(frames)))) : at + 1] for frames in chosen]
    return to_tensor(np.stack(chosen))


def cut_outs(clips: WorldClips, draw: np.random.Generator, size: int) -> torch.Tensor:
    """(B, 3, T, 32, 32) float in [-1, 1] around places where something moves, which is where detail is hard to keep."""
    pieces = []
    for index in draw.integers(len(clips), size=size):
        frames = clips.frames(int(index))
        change = np.abs(frames - frames.mean(0)).mean((0, 3)) + 1.0
        place = int(draw.choice(change.size, p=(change / change.sum()).ravel()))
        row, column = (max(0, at - CROP // 2) for at in divmod(place, change.shape[1]))
        row, column = min(row, change.shape[0] - CROP), min(column, change.shape[1] - CROP)
        pieces.append(frames[:, row : row + CROP, column : column + CROP])
    return to_tensor(np.stack(pieces))


def to_tensor(clips: np.ndarray) -> torch.Tensor:
    """(B, T, H, W, 3) uint8 -> (B, 3, T, H, W) float in [-1, 1]."""
    return torch.from_numpy(np.array(clips)).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


@torch.no_grad()
def set_statistics(vae: AutoencoderKLWan, clips: WorldClips, device: str, count: int = 64) -> None:
    """Store each latent channel's mean and deviation over training clips in the configuration, as the real models do."""
    latents = [vae.encode(to_tensor(clips.frames(i)[None]).to(device)).latent_dist.mode() for i in range(min(count, len(clips)))]
    stacked = torch.cat(latents)
    mean, deviation = stacked.mean((0, 2, 3, 4)), stacked.std((0, 2, 3, 4))
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
