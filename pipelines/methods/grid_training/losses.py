"""The losses: flow matching on the cells that are missing, as inference has them (Grid composition, sections 3.1 and 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipelines.methods.grid.fill import Given, denoise
from pipelines.playground.train.latents import SUBJECTS

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


def noisy_grid(clean: Tensor, missing: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """What the network is given: (1 - sigma) x0 + sigma noise where cells are missing, x0 where they are visible.

    Args:
        clean, noise: (B, C, T', H', W'); missing: (B, 1, 1, H', W') bool; sigma: (B,) 0..1.
    """
    level = sigma.view(-1, 1, 1, 1, 1)
    return Given(clean, missing).enter((1 - level) * clean + level * noise)


def masked_flow(prediction: Tensor, clean: Tensor, noise: Tensor, missing: Tensor, cover: Tensor) -> Tensor:
    """(): || (v - dx_t/dt) . M ||^2 per masked number, M the missing cells (section 3.3); subjects count more, as in `near_subjects`.

    Args:
        cover: (B, 1, T', H', W') 0..1, where subjects are.
    """
    weight = missing * (1 + SUBJECTS * cover)
    error = (prediction.float() - (noise - clean)).square() * weight
    return error.sum() / (weight.sum() * clean.shape[1])


def fill_loss(backbone: Backbone, clean: Tensor, missing: Tensor, cover: Tensor, noise: Tensor, sigma: Tensor, text: Tensor) -> Tensor:
    """(): of one batch of grids, with text (B, M, D) and the model's timesteps for sigma (B,)."""
    latents = noisy_grid(clean, missing, noise, sigma)
    times = sigma * backbone.pipeline.scheduler.config.num_train_timesteps
    return masked_flow(denoise(backbone, latents, times, text, missing), clean, noise, missing, cover)


def drop_words(states: Tensor, empty: Tensor, draw: np.random.Generator, token_drop: float, no_text: float) -> Tensor:
    """Text with tokens left out, each with probability `token_drop`, and some without any (section 4.3: 0.6).

    Args:
        states: (B, K, L, D); what is left out is 0, as padding is.
        empty: (L, D) of the empty prompt.
    """
    kept = torch.from_numpy(draw.uniform(size=states.shape[:3]) >= token_drop).to(states.device)
    spoken = torch.from_numpy(draw.uniform(size=len(states)) >= no_text).to(states.device)
    return torch.where(spoken.view(-1, 1, 1, 1), states * kept[..., None], empty)


def noise_like(clean: Tensor, draw: np.random.Generator, scale: float) -> Tensor:
    """Noise of `clean`'s shape, drawn on the processor, `scale` times as strong."""
    generator = torch.Generator().manual_seed(int(draw.integers(2**62)))
    return torch.randn(clean.shape, generator=generator).to(clean) * scale
