"""The denoising loop of Lynx: a clip of the person in one photograph."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipelines.attention.windows import Window
from pipelines.events import Event, Preview, Progress
from pipelines.methods.face_identity.condition import Conditions
from pipelines.methods.face_identity.guidance import Pass, combined, passes
from pipelines.methods.face_identity.processors import Identity, identified

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone
    from pipelines.methods.face_identity.modules import FaceAdapter


@dataclass(frozen=True)
class FaceSettings:
    """What is drawn and how; the defaults are those of the released full arm.

    Attributes:
        prompt, negative_prompt: what the clip shows, and what not.
        frames, height, width: of the clip, which the model can draw.
        seed: of the initial noise.
        steps: of the schedule.
        guidance: weight of the text, 1 or less: none, in one pass per step.
        id_guidance: weight of the identity; None: guided together with the text, as the lite arm is.
        id_scale, ref_scale: strength of both adapters, 0: off.
        first_step, last_step: where both are on, as fractions of the schedule, ends included.
    """

    prompt: str
    negative_prompt: str = ""
    frames: int = 81
    height: int = 480
    width: int = 832
    seed: int = 0
    steps: int = 50
    guidance: float = 5.0
    id_guidance: float | None = 2.0
    id_scale: float = 1.0
    ref_scale: float = 1.0
    first_step: float = 0.0
    last_step: float = 1.0


@dataclass(frozen=True)
class Drawn:
    """The end of the loop: latents (1, C, T', H', W')."""

    latents: Tensor


@dataclass(frozen=True)
class Estimated:
    """What the clip would be if it ended after `step`: latents (1, C, T', H', W')."""

    step: int
    latents: Tensor


def generate_face(
    backbone: Backbone, adapter: FaceAdapter, conditions: Conditions, settings: FaceSettings
) -> Iterator[Event | Estimated | Drawn]:
    """Draw the face of `conditions` with `adapter`.

    Yields Progress, Preview and Estimated, and last a Drawn. Raises UserError as `identified` does.
    """
    text, empty = backbone.encode_text([settings.prompt, settings.negative_prompt]).chunk(2)
    texts: dict[Pass, Tensor] = {"unconditional": empty, "identity": empty, "conditional": text}
    latents = backbone.initial_noise(settings.frames, settings.height, settings.width, settings.seed)
    schedule = backbone.schedule(settings.steps, latents, settings.seed)
    within = Window("steps", settings.first_step, settings.last_step).steps(schedule.timesteps)
    total = len(schedule)
    yield Progress("denoising", 0, total)
    started = time.perf_counter()
    with ExitStack() as stack:
        with torch.no_grad():
            identity = stack.enter_context(identified(backbone, adapter, [conditions.without, conditions.given]))
        identity.id_scale, identity.ref_scale = settings.id_scale, settings.ref_scale
        for index, timestep in enumerate(schedule.timesteps):
            with torch.no_grad():
                identity.on = index in within
                prediction = guided(backbone, identity, latents, timestep, texts, settings)
                estimate = schedule.clean(prediction, index, latents)
                latents = schedule.step(prediction, index, latents)
            yield Preview("frames", "denoised", index, backbone.preview(estimate))
            yield Estimated(index, estimate)
            pace = (time.perf_counter() - started) / (index + 1)
            yield Progress("denoising", index + 1, total, pace * (total - index - 1))
    yield Drawn(latents)


def guided(
    backbone: Backbone, identity: Identity, latents: Tensor, timestep: Tensor, texts: Mapping[Pass, Tensor], settings: FaceSettings
) -> Tensor:
    """The prediction of one step, of the shape of `latents`; all passes that it needs are rows of one batch.

    Args:
        identity: of the conditions [without, given]; where it is silent there is nothing to guide by, and the step is the plain one.
        texts: states (1, L, D) that each pass reads.
    """
    id_guidance = None if identity.silent else settings.id_guidance
    wanted = passes(settings.guidance, id_guidance)
    identity.show([0 if name == "unconditional" else 1 for name in wanted])
    predictions = backbone.denoise(torch.cat([latents] * len(wanted)), timestep, torch.cat([texts[name] for name in wanted]))
    return combined(dict(zip(wanted, predictions.chunk(len(wanted)), strict=True)), settings.guidance, id_guidance)
