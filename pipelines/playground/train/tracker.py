"""A teacher for the video models: from the latents of a whole clip it tells which way the subject goes.

Where a subject goes is decided while hardly anything can be seen yet, by differences between frames that squared error
counts little. A small network that finds the subject in each latent frame and names the path of its centre asks the
video model's estimate of the clean clip to go as its caption says.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipelines.playground.train.latents import LatentSet, LatentWorld
from pipelines.playground.train.run import Budget
from pipelines.playground.train.teaching import disturb, teach

CLIPS = 24
"""Clips in a step of its own training."""

SHARE = 0.03
"""Of the budget, for its own training."""

NAMING = 0.2
"""Weight of the ways beside the masks in its own training."""

JITTER = 0.1
"""How far a whole track is moved at random in its training, -1..1 being the frame: a way is one wherever it is."""

WEIGHT = 0.25
"""Of its word in the video model's loss: with more, a model that draws badly yet falls into pieces that go the right way."""


class Tracker(nn.Module):
    """Latents (B, C, T', H', W') of clips -> logits of the subject's mask in each frame, and of its way.

    Args:
        channels: of the latents.
        frames: T'.
        ways: names of the ways it tells apart.
    """

    def __init__(self, channels: int, frames: int, ways: Sequence[str], width: int = 32) -> None:
        super().__init__()
        self.ways = list(ways)
        self.near = nn.Sequential(_layer(channels, width), _layer(width, width))
        self.far = nn.Sequential(_layer(width, 2 * width, 2), _layer(2 * width, 2 * width, 2), _layer(2 * width, width))
        self.mask = nn.Sequential(_layer(width, width), nn.Conv2d(width, 1, 1))
        self.way = nn.Sequential(nn.Linear(3 * frames, 96), nn.SiLU(), nn.Linear(96, 96), nn.SiLU(), nn.Linear(96, len(self.ways)))

    def masks(self, latents: Tensor) -> Tensor:
        """Logits (B, 1, T', H', W')."""
        near = self.near(latents.transpose(1, 2).flatten(0, 1))
        far = F.interpolate(self.far(near), size=near.shape[-2:], mode="bilinear", align_corners=False)
        return self.mask(near + far).unflatten(0, (len(latents), -1)).transpose(1, 2)

    def told(self, masks: Tensor, jitter: float = 0.0) -> Tensor:
        """Logits (B, N) of the way that masks (B, 1, T', H', W'), given as logits, go; `jitter` moves them at random."""
        places = track(masks.sigmoid())
        moved = places + jitter * torch.randn_like(places[:, :1]) * torch.tensor([1.0, 1.0, 0.0], device=places.device)
        return self.way(moved.flatten(1))

    def disagreement(self, estimate: Tensor, ways: Tensor) -> Tensor:
        """Cross-entropy between the ways it sees in estimates of clean latents and those of their captions.

        At every noise level: below 0.9 the way shows in the noisy clip itself, so that the caption is read above it or never.

        Args:
            estimate: (B, C, T', H', W') of the clean latents; of single frames nothing is asked.
            ways: (B,) index of the way, -1 where there is none to tell.
        """
        if estimate.shape[2] == 1 or (ways < 0).all():
            return estimate.sum() * 0
        return F.cross_entropy(self.told(self.masks(estimate)), ways, ignore_index=-1)


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(8, outputs), nn.SiLU())


def track(masks: Tensor) -> Tensor:
    """(B, T', 3) centre x, y in -1..1 and root of the covered share of masks (B, 1, T', H', W') in 0..1."""
    rows, columns = (torch.linspace(-1, 1, size, device=masks.device) for size in masks.shape[-2:])
    mass = masks.sum((1, 3, 4)) + 1e-3
    x, y = (masks.sum((1, 3)) * columns).sum(-1) / mass, (masks.sum((1, 4)) * rows).sum(-1) / mass
    return torch.stack([x, y, masks.mean((1, 3, 4)).clamp(min=1e-4).sqrt()], 2)


def train_tracker(world: LatentWorld, folder: Path, budget: Budget, device: str, *, resume: bool = True, seed: int = 0) -> Tracker:
    """A frozen tracker of the subjects in the clips of `world`, trained on latents disturbed as estimates are; prints how well it tells.

    Its training takes SHARE of the budget; `folder` holds its checkpoint.
    """
    torch.manual_seed(seed)
    channels, frames = world.clips[0].latents.shape[1:3]
    tracker = Tracker(channels, frames, world.ways).to(device)

    def loss(step: int) -> Tensor:
        latents, covers, ways = _clips_of(world, np.random.default_rng((seed, 7, step)), device)
        masks = tracker.masks(disturb(latents))
        found = F.binary_cross_entropy_with_logits(masks, covers.clamp(0, 1))
        return found + NAMING * F.cross_entropy(tracker.told(masks, JITTER), ways)

    teach(tracker, "tracker", folder, budget.part(SHARE), loss, resume=resume, seed=seed)
    print(f"the tracker is right about {_right(tracker, world, seed, device):.0%} of the ways", flush=True)
    return tracker


def _right(tracker: Tracker, world: LatentWorld, seed: int, device: str, batches: int = 16) -> float:
    """Share 0..1 of undisturbed clips of its training whose way it tells rightly."""
    hits: list[Tensor] = []
    for batch in range(batches):
        latents, _, ways = _clips_of(world, np.random.default_rng((seed, 8, batch)), device)
        hits.append((tracker.told(tracker.masks(latents)).argmax(1) == ways).float())
    return torch.cat(hits).mean().item()


def _clips_of(world: LatentWorld, draw: np.random.Generator, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Latents, covers and ways of CLIPS clips of one subject, all of one set."""
    sets: list[LatentSet] = [part for part in world.clips if part.alone.size]
    sizes = np.array([len(part) for part in sets], float)
    part = sets[int(draw.choice(len(sets), p=sizes / sizes.sum()))]
    chosen = draw.choice(part.alone, size=CLIPS)
    latents, covers = (torch.from_numpy(values[chosen].astype(np.float32)).to(device) for values in (part.latents, part.covers))
    return latents, covers, part.gone(chosen, world.ways).to(device)
