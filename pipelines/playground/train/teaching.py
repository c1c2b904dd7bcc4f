"""How the small teachers of the video models are taught themselves: one loop, and latents disturbed as a denoiser's estimates are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipelines.playground.train.optimise import MuonAndAdamW
from pipelines.playground.train.run import Average, Budget, Run, descend, warm_then_cosine

PEAK = 2e-3
"""Highest learning rate."""


def teach(
    model: nn.Module, name: str, folder: Path, budget: Budget, loss: Callable[[int], Tensor], *, resume: bool = True, seed: int = 0
) -> None:
    """Train `model` on `loss(step)` until the budget is used, then freeze its averaged weights; `folder` holds the checkpoint `name`."""
    average, optimiser = Average(model, decay=0.99), MuonAndAdamW(model, PEAK, weight_decay=0.02)
    run = Run(folder, name, {"model": model, "average": average, "optimiser": optimiser}, budget, seed, resume)

    def update(step: int, progress: float) -> float:
        optimiser.set_rate(warm_then_cosine(progress, step, peak=PEAK))
        return descend(loss(step), model, optimiser, average, limit=5.0)

    run.loop(update)
    model.load_state_dict(average.weights)
    model.requires_grad_(False).eval()


def disturb(latents: Tensor) -> Tensor:
    """Latents (B, C, T', H', W') as a denoiser's estimates are: some of them blurred, and noisy."""
    shape = (len(latents), 1, 1, 1, 1)
    blurred = F.avg_pool3d(latents, (1, 3, 3), 1, (0, 1, 1), count_include_pad=False)
    noise = 0.4 * torch.rand(shape, device=latents.device) * torch.randn_like(latents)
    return latents.lerp(blurred, torch.rand(shape, device=latents.device)) + noise
