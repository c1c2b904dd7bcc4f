"""One clip from a prompt without events: for samples beside another task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


@torch.no_grad()
def draw_picture(
    backbone: Backbone, prompt: str, height: int, width: int, seed: int, frames: int = 1, steps: int = 20, guidance: float = 4.0
) -> np.ndarray:
    """(T, H, W, 3) uint8: the plain denoising loop from the noise of `seed`."""
    text, empty = backbone.encode_text([prompt, ""]).chunk(2)
    latents = backbone.initial_noise(frames, height, width, seed)
    schedule = backbone.schedule(steps, latents, seed)
    for index, timestep in enumerate(schedule.timesteps):
        latents = schedule.step(backbone.guided(latents, timestep, text, empty, guidance), index, latents)
    return backbone.decode_video(latents)
