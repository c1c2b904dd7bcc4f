"""The denoising loop of the method: a clip of the subject in one picture."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipelines.events import Event, Preview, Progress
from pipelines.methods.face_identity.guidance import Pass, combined, passes
from pipelines.methods.face_identity.loop import Drawn
from pipelines.methods.zero_shot_subject.reference_stream import predict

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


@dataclass(frozen=True)
class SubjectSettings:
    """What is drawn and how; the defaults are those of the released inference.

    Attributes:
        prompt, negative_prompt: what the clip shows, with <cls> before the subject's word, and what not.
        frames, height, width: of the clip, which the model can draw.
        seed: of the initial noise.
        steps: of the schedule.
        guidance: weight of the text, 1 or less: none, in one pass per step.
        preview_every: steps between two previews, 0: none.
    """

    prompt: str
    negative_prompt: str = ""
    frames: int = 49
    height: int = 480
    width: int = 720
    seed: int = 0
    steps: int = 50
    guidance: float = 6.0
    preview_every: int = 1


def draw_subject(backbone: Backbone, reference: Tensor | None, settings: SubjectSettings) -> Iterator[Event | Drawn]:
    """Draw a clip beside `reference` (1, C, 1, H', W'), clean latents; None: without one.

    Yields Progress and Preview, and last a Drawn. Raises UserError as `predict` does.
    """
    text, empty = backbone.encode_text([settings.prompt, settings.negative_prompt]).chunk(2)
    texts: dict[Pass, Tensor] = {"unconditional": empty, "conditional": text}
    latents = backbone.initial_noise(settings.frames, settings.height, settings.width, settings.seed)
    schedule = backbone.schedule(settings.steps, latents, settings.seed)
    total = len(schedule)
    yield Progress("denoising", 0, total)
    started = time.perf_counter()
    for index, timestep in enumerate(schedule.timesteps):
        with torch.no_grad():
            prediction = guided(backbone, latents, timestep, texts, settings.guidance, reference)
            seen = backbone.preview(schedule.clean(prediction, index, latents)) if _shown(index, total, settings) else None
            latents = schedule.step(prediction, index, latents)
        if seen is not None:
            yield Preview("frames", "denoised", index, seen)
        pace = (time.perf_counter() - started) / (index + 1)
        yield Progress("denoising", index + 1, total, pace * (total - index - 1))
    yield Drawn(latents)


def guided(
    backbone: Backbone, latents: Tensor, timestep: Tensor, texts: dict[Pass, Tensor], guidance: float, reference: Tensor | None
) -> Tensor:
    """The prediction of one step, of the shape of `latents` (1, C, T', H', W'): empty text and prompt see the same reference.

    Both go through the transformer in one batch; guidance 1 runs the prompt's alone.
    """
    wanted = passes(guidance, None)
    words = torch.cat([texts[name] for name in wanted])
    predictions = predict(backbone, torch.cat([latents] * len(wanted)), timestep, words, reference)
    return combined(dict(zip(wanted, predictions.chunk(len(wanted)), strict=True)), guidance, None)


def _shown(index: int, total: int, settings: SubjectSettings) -> bool:
    """Whether step `index` has a preview; the last one has, if any."""
    return settings.preview_every > 0 and ((index + 1) % settings.preview_every == 0 or index + 1 == total)
