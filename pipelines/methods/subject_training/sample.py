"""A look at a training on the way: a clip beside a reference, from what the source keeps of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipelines.methods.zero_shot_subject.loop import guided

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

GUIDANCE = 4.0


@torch.no_grad()
def drawn(backbone: Backbone, reference: Tensor, text: Tensor, frames: int, seed: int, steps: int) -> np.ndarray:
    """(T, H, W, 3) uint8 of `frames` frames, for reference latents (1, C, 1, H', W') and text states (1, L, D) in any precision."""
    side = backbone.pipeline.vae_scale_factor_spatial
    latents = backbone.initial_noise(frames, reference.shape[-2] * side, reference.shape[-1] * side, seed)
    reference, text = reference.to(latents), text.to(backbone.device, backbone.dtype)
    schedule, texts = backbone.schedule(steps, latents, seed), {"unconditional": backbone.encode_text([""]), "conditional": text}
    for index, timestep in enumerate(schedule.timesteps):
        latents = schedule.step(guided(backbone, latents, timestep, texts, GUIDANCE, reference), index, latents)
    return backbone.decode_video(latents)
