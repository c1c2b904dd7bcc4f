"""DDIM inversion: the noise levels that a given clip would have passed through, from the picture upwards."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipelines.backbones.schedule import Schedule

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


@torch.no_grad()
def invert(
    backbone: Backbone, clean: Tensor, schedule: Schedule, text: Tensor, steps: Collection[int] | None = None
) -> Iterator[tuple[int, Tensor]]:
    """The whole trajectory of `clean` along `schedule`, lowest level first: (index of the step, latents of its level).

    When a pair is yielded, the forward pass at (latents, timestep of that step) has just been made: what an attention recording
    holds then is what a reference branch would compute at that denoising step. Without guidance; levels in float64, by the
    scheduler's own numbers (DDIM, Song et al. 2021, section 4.3; for flow matching Euler steps of the reversed ODE).

    Never start again from the last level: where the terminal signal is zero, that one is noise alone and the clip is lost.

    Args:
        clean: (1, C, T', H', W') normalised latents.
        schedule: a fresh one; its state is not touched.
        text: (1, L, D) states of the prompt.
        steps: indices of the steps whose levels are passed through, None for all; fewer make longer Euler steps.
    """
    latents, level = clean.double(), schedule.level(0).without_noise
    prediction = backbone.denoise(clean, torch.zeros_like(schedule.timesteps[0]), text).double()
    for index in sorted(range(len(schedule)) if steps is None else steps, reverse=True):
        estimate, noise = level.split(prediction, latents)
        level = schedule.level(index)
        latents = level.mix(estimate, noise)
        prediction = backbone.denoise(latents.to(clean.dtype), schedule.timesteps[index], text).double()
        yield index, latents.to(clean.dtype)
