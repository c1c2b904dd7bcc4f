"""The denoising loop of Motion by Queries: source and target in the order of the paper (section 4)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipelines.attention.windows import Window
from pipelines.backbones.schedule import Schedule
from pipelines.events import Event, Preview, Progress
from pipelines.methods.motion_transfer.plan import taken
from pipelines.methods.motion_transfer.queries import Source, Transfer, injecting, nearest_step
from pipelines.methods.motion_transfer.request import MotionRequest
from pipelines.requests import MAX_SEED

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

CLEAN_UP = 2
"""Steps of noise that a source is cleaned up with (appendix A.1)."""


@dataclass(frozen=True)
class Drawn:
    """The end of the loop: latents (1, C, T', H', W'), and how many passes over the source there were."""

    latents: Tensor
    looks: int


def transfer(backbone: Backbone, request: MotionRequest, clean: Tensor) -> Iterator[Event | Drawn]:
    """Draw the clip of `request`, which fits the model, moving as the latents `clean` (1, C, T', H', W') of its source do.

    Yields Progress and Preview, and last a Drawn.
    """
    text, empty, shown = backbone.encode_text([request.prompt, request.negative_prompt, request.source_prompt]).chunk(3)
    latents = backbone.initial_noise(request.frames, request.height, request.width, request.seed)
    schedule = backbone.schedule(request.steps, latents, request.seed)
    wanted = wanted_of(request, backbone, schedule)
    source = Source(clean, _noise(backbone, request), shown)
    if request.clean_up and wanted.steps:
        source = Source(cleaned(backbone, request, source), source.noise, shown)
    rows, total = 2 if request.guidance > 1 else 1, len(schedule)
    yield Progress("denoising", 0, total)
    started = time.perf_counter()
    with injecting(backbone, source, schedule, wanted, rows=rows, seed=request.seed) as injection:
        for index, timestep in enumerate(schedule.timesteps):
            with torch.no_grad():
                if injection:
                    injection.before(index)
                prediction = backbone.guided(latents, timestep, text, empty, request.guidance)
                picture = backbone.preview(schedule.clean(prediction, index, latents))
                latents = schedule.step(prediction, index, latents)
            yield Preview("frames", "denoised", index, picture)
            pace = (time.perf_counter() - started) / (index + 1)
            yield Progress("denoising", index + 1, total, pace * (total - index - 1))
    yield Drawn(latents, wanted.looks)


def wanted_of(request: MotionRequest, backbone: Backbone, schedule: Schedule) -> Transfer:
    """The settings of `request` as numbers of this model and schedule."""
    return Transfer(
        layers=list(Window("layers", request.first_layer, request.last_layer).layers(len(backbone.blocks()))),
        steps=range(taken(request)),
        at=nearest_step(schedule.timesteps.tolist(), request.level) if request.recorded == "one level" else None,
        dropout=request.dropout,
        match_values=request.match_values,
    )


def _noise(backbone: Backbone, request: MotionRequest) -> Tensor:
    """What the source is looked at through: the target's own noise, or another."""
    seed = request.seed if request.same_noise else (request.seed + 1) % (MAX_SEED + 1)
    return backbone.initial_noise(request.frames, request.height, request.width, seed)


@torch.no_grad()
def cleaned(backbone: Backbone, request: MotionRequest, source: Source) -> Tensor:
    """The source with the last CLEAN_UP steps of noise, denoised again: what the model cannot draw is gone (appendix A.1)."""
    schedule = backbone.schedule(request.steps, source.clean, request.seed)
    first = max(len(schedule) - CLEAN_UP, 0)
    latents = schedule.level(first).mix(source.clean.float(), source.noise.float()).to(source.noise.dtype)
    for index in range(first, len(schedule)):
        prediction = backbone.denoise(latents, schedule.timesteps[index], source.text)
        estimate, noise = schedule.level(index).split(prediction.float(), latents.float())
        following = schedule.level(index + 1) if index + 1 < len(schedule) else schedule.level(index).without_noise
        latents = following.mix(estimate, noise).to(source.noise.dtype)
    return latents
