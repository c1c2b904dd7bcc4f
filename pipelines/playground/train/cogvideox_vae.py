"""Training of the playground's AutoencoderKLCogVideoX: first on single frames, then on clips of several sizes.

The group norms make torch's own initialisation good enough for single frames. At the switch to clips every temporal kernel is
gathered in its newest tap, which changes nothing for single frames and stops the blur that taps trained on copies of one
frame would give to moving ones.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLCogVideoX
from diffusers.models.autoencoders.autoencoder_kl_cogvideox import CogVideoXCausalConv3d, CogVideoXSpatialNorm3D
from torch import Tensor, nn
from torch.nn import functional as F

from pipelines.playground.train.clips import WorldClips, open_sets
from pipelines.playground.train.latents import PIXELS
from pipelines.playground.train.run import Budget
from pipelines.playground.train.vae import Phase, cut_outs, picture_loss, single, to_tensor, train_phase

LATENT_CHANNELS = 16
CONFIG = {
    "block_out_channels": (16, 32, 56),
    "down_block_types": ("CogVideoXDownBlock3D",) * 3,
    "up_block_types": ("CogVideoXUpBlock3D",) * 3,
    "latent_channels": LATENT_CHANNELS,
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "temporal_compression_ratio": 2,
    "scaling_factor": 1.0,
}
"""Three levels: 4 pixels per latent, 2 frames per latent frame.

CogVideoX has 4 frames. It folds them by plain averages, and an autoencoder of this size does not learn to tell four averaged
frames apart again: moving subjects came out as smears. Latent frames are decoded in pairs after an odd first group: clips of
4k + 1 frames.
"""

SHARES = {"frames": 0.3, "clips": 0.7}
"""Share of the time of each phase."""

KL_WEIGHT = 3e-4
FIRST_LOG_VARIANCE = -6.0
"""Of the posterior before training: a latent drawn with deviation 1 would hide the picture."""


def new_vae() -> AutoencoderKLCogVideoX:
    """An untrained autoencoder whose posterior is narrow and whose spatial norms begin as plain group norms."""
    vae = AutoencoderKLCogVideoX(**CONFIG)
    vae.encoder.conv_out.conv.bias.data[LATENT_CHANNELS:] = FIRST_LOG_VARIANCE
    for module in vae.modules():
        if isinstance(module, CogVideoXSpatialNorm3D):
            nn.init.ones_(module.conv_y.conv.bias)
            nn.init.zeros_(module.conv_b.conv.bias)
    return vae


@torch.no_grad()
def gather_in_newest_tap(vae: AutoencoderKLCogVideoX) -> None:
    """Move the weight of all temporal taps to the newest: each frame is then coded by itself, single frames as before."""
    for module in vae.modules():
        if isinstance(module, CogVideoXCausalConv3d):
            weight = module.conv.weight
            weight[:, :, -1] = weight.sum(2)
            weight[:, :, :-1] = 0


@contextmanager
def quick(vae: AutoencoderKLCogVideoX) -> Iterator[None]:
    """Within, the same numbers in a fraction of the time on a CPU.

    Three-dimensional convolutions run in two dimensions with the taps' frames as channels, for a single frame with the sum of
    the taps; and the 1x1x1 convolutions of the spatial norms run before the latents are enlarged instead of after.
    """
    changed = []
    for module in vae.modules():
        if isinstance(module, CogVideoXCausalConv3d) and module.time_kernel_size > 1:
            module.forward = partial(_convolve_frames, module)
            changed.append(module)
        elif isinstance(module, CogVideoXSpatialNorm3D):
            module.forward = partial(_modulate, module)
            changed.append(module)
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _convolve_frames(convolution: CogVideoXCausalConv3d, inputs: Tensor, conv_cache: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """(B, C, T, H, W) through a causal convolution; returns it with the last input frames, for the next piece of the clip."""
    weight, bias, padding = convolution.conv.weight, convolution.conv.bias, (convolution.height_pad, convolution.width_pad)
    count, past = inputs.shape[2], weight.shape[2] - 1
    before = inputs[:, :, :1].expand(-1, -1, past, -1, -1) if conv_cache is None else conv_cache
    if count == 1 and conv_cache is None:
        return F.conv2d(inputs[:, :, 0], weight.sum(2), bias, padding=padding)[:, :, None], before
    frames = torch.cat([before, inputs], 2).transpose(1, 2)  # (B, past + T, C, H, W)
    stacked = torch.cat([frames[:, tap : tap + count] for tap in range(past + 1)], 2).flatten(0, 1)
    rows = F.conv2d(stacked, weight.transpose(1, 2).flatten(1, 2), bias, padding=padding)
    return rows.unflatten(0, (-1, count)).transpose(1, 2), frames[:, -past:].transpose(1, 2)


def _modulate(norm: CogVideoXSpatialNorm3D, f: Tensor, zq: Tensor, conv_cache: dict | None = None) -> tuple[Tensor, dict]:
    """Group norm of `f`, scaled and shifted by maps of the latents `zq`; nothing to remember, the maps are of one frame each."""
    weight = torch.cat([norm.conv_y.conv.weight, norm.conv_b.conv.weight])
    maps = F.conv3d(zq, weight, torch.cat([norm.conv_y.conv.bias, norm.conv_b.conv.bias]))
    if f.shape[2] > 1 and f.shape[2] % 2 == 1:
        first = F.interpolate(maps[:, :, :1], size=(1, *f.shape[-2:]))
        maps = torch.cat([first, F.interpolate(maps[:, :, 1:], size=(f.shape[2] - 1, *f.shape[-2:]))], 2)
    else:
        maps = F.interpolate(maps, size=f.shape[-3:])
    scale, shift = maps.chunk(2, 1)
    return norm.norm_layer(f) * scale + shift, {}


def loss_of(vae: AutoencoderKLCogVideoX, clips: Tensor) -> Tensor:
    """Reconstruction loss of (B, 3, T, H, W) clips in [-1, 1] from drawn latents, and a little of the KL divergence from N(0, 1)."""
    posterior = vae.encode(clips).latent_dist
    mean, log_variance = posterior.mean.float(), posterior.logvar.float()
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
    drawn = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
    return picture_loss(vae.decode(drawn).sample.float(), clips) + KL_WEIGHT * divergence


def train_vae(
    sets: Sequence[WorldClips], folder: Path, budget: Budget, device: str, *, batch: int = 2, start: Path | None = None,
    resume: bool = True, seed: int = 0,
) -> AutoencoderKLCogVideoX:  # fmt: skip
    """Both phases on `sets` of clips of several sizes; returns the trained autoencoder with its scaling factor set.

    Args:
        batch: clips of 64 x 64 px per step; steps of single frames hold six times as many. The learning rates were found with
            2 and grow with its root.
        start: folder of a trained autoencoder to go on from; the single-frame phase is left out then.
    """
    torch.manual_seed(seed)
    vae = new_vae().to(device)
    if start:
        vae.load_state_dict(AutoencoderKLCogVideoX.from_pretrained(start, torch_dtype=torch.float32).state_dict())
    rate = math.sqrt(batch / 2)
    clips = Phase("clips", 1.2e-4 * rate, partial(_mixed, sets, batch))
    if not start:
        frames = Phase("frames", 1.5e-3 * rate, lambda draw, step: _stills(sets, draw, 6 * batch))
        with quick(vae):
            train_phase(vae, frames, partial(loss_of, vae), folder, budget.part(SHARES["frames"]), device, resume, seed)
        gather_in_newest_tap(vae)
        budget = budget.part(SHARES["clips"])
    with quick(vae):
        train_phase(vae, clips, partial(loss_of, vae), folder, budget, device, resume, seed)
    set_scale(vae, sets, device)
    return vae


def _mixed(sets: Sequence[WorldClips], batch: int, draw: np.random.Generator, step: int) -> Tensor:
    """Cut-outs where something moves; at every third step whole clips, whose group norms differ; at every sixth single frames."""
    if step % 6 == 5:
        return _stills(sets, draw, 6 * batch)
    return whole(sets, draw, batch) if step % 3 == 1 else cut_outs(sets, draw, batch)


def _stills(sets: Sequence[WorldClips], draw: np.random.Generator, size: int) -> Tensor:
    """(B, 3, 1, H, W) float in [-1, 1]: single frames, cut out or, one time in three, whole."""
    return whole(sets, draw, size)[:, :, :1] if draw.uniform() < 1 / 3 else single(sets, draw, size)


def whole(sets: Sequence[WorldClips], draw: np.random.Generator, size: int) -> Tensor:
    """(B, 3, T, H, W) float in [-1, 1]: whole clips of one set, the fewer the larger they are."""
    clips = sets[int(draw.integers(len(sets)))]
    count = max(1, round(size * PIXELS / (clips.shape[1] * clips.shape[2])))
    return to_tensor(np.stack([clips.frames(int(index)) for index in draw.integers(len(clips), size=count)]))


@torch.no_grad()
def set_scale(vae: AutoencoderKLCogVideoX, sets: Sequence[WorldClips], device: str, count: int = 64) -> None:
    """Store 1 / (root mean square of the latents of training clips) in the configuration: denoising then works at unit energy."""
    clips = [part.frames(index) for part in sets for index in range(min(count // len(sets), len(part)))]
    with quick(vae):
        squares = [vae.encode(to_tensor(clip[None]).to(device)).latent_dist.mode().square().mean().item() for clip in clips]
    vae.register_to_config(scaling_factor=float(np.mean(squares) ** -0.5))


def main(flags: argparse.Namespace, device: str) -> None:
    """`train cogvideox-vae`: the video autoencoder, into WORK/cogvideox-vae/model."""
    folder = flags.work / "cogvideox-vae"
    sets = open_sets(flags.sizes, flags.frames, flags.work / "world")
    start = flags.start and flags.start / "vae"
    vae = train_vae(sets, folder, Budget.of(flags), device, batch=flags.batch, start=start, resume=flags.resume, seed=flags.seed)
    vae.save_pretrained(folder / "model")
