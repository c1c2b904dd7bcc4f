"""Plain text-to-video: the denoising loop with a look at the estimate of the clean clip after every step.

torch comes in when the loop starts, so that the first event is there at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.events import Event, Preview, Progress, Result
from pipelines.files import ANYWHERE, Files
from pipelines.methods.generate import cost
from pipelines.methods.generate.lora import find_lora, with_lora
from pipelines.methods.generate.memory import forget_peak, peak
from pipelines.methods.generate.plan import check, plan
from pipelines.methods.generate.request import GenerateRequest
from pipelines.models.registry import ModelEntry, entry, require
from pipelines.models.store import ModelStore

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

STEPS_OF_DECODING = 2  # assumed length of a decoding that was never measured


def run(request: GenerateRequest, store: ModelStore, files: Files = ANYWHERE) -> Iterator[Event]:
    """Generate the clip of `request`, whose LoRA is found by `files`; closing the iterator cancels within a step.

    Yields Progress, per step a Preview "denoised" (the estimate of x0 at latent size) and Progress with seconds_left, and last a
    Result whose request has the real seed and sizes. Raises UserError in one sentence.
    """
    check(request)
    model = entry(request.model)
    require(model)
    lora = find_lora(request, files)
    planned = plan(request.with_seed(), model)
    yield Progress("preparing")
    if store.folder(model) is None:
        yield from store.download(model.name)

    def work(backbone: Backbone) -> Iterator[Event]:
        return with_lora(backbone, lora, generate(planned.request, model, backbone, planned.notes))

    yield from store.attempt(request.model, work)


def generate(request: GenerateRequest, model: ModelEntry, backbone: Backbone, notes: tuple[str, ...] = ()) -> Iterator[Event]:
    """The same on a loaded backbone, for a request that fits the model."""
    import torch

    started = time.perf_counter()
    forget_peak(backbone)
    yield Progress("reading the prompt")
    text, empty = backbone.encode_text([request.prompt, request.negative_prompt]).chunk(2)
    latents = backbone.initial_noise(request.frames, request.height, request.width, request.seed)
    schedule = backbone.schedule(request.steps, latents, request.seed)
    total = len(schedule)
    yield Progress("denoising", 0, total)
    loop_started = time.perf_counter()
    for index, timestep in enumerate(schedule.timesteps):
        with torch.no_grad():
            prediction = backbone.guided(latents, timestep, text, empty, request.guidance)
            picture = backbone.preview(schedule.clean(prediction, index, latents))
            latents = schedule.step(prediction, index, latents)
        yield Preview("frames", "denoised", index, picture)
        per_step = (time.perf_counter() - loop_started) / (index + 1)
        yield Progress("denoising", index + 1, total, per_step * (total - index - 1) + _decoding(request, backbone, per_step))
    denoised = time.perf_counter()
    yield Progress("decoding", seconds_left=_decoding(request, backbone, (denoised - loop_started) / total))
    frames = backbone.decode_video(latents)
    if not backbone.has_colours:
        backbone.learn_colours(latents, frames)
    ended = time.perf_counter()
    cost.learn_speed(request, model, ended - loop_started, card=backbone.device != "cpu")
    values = {
        "seconds": ended - started,
        "seconds_per_step": (denoised - loop_started) / total,
        "seconds_decoding": ended - denoised,
        "peak_bytes": peak(backbone),
    }
    yield Result(request, frames, request.fps, (*notes, *cut(request, backbone)), values)


def _decoding(request: GenerateRequest, backbone: Backbone, per_step: float) -> float:
    """Seconds that decoding will take: as measured last time per pixel, else a few steps."""
    if backbone.decode_pace is None:
        return per_step * STEPS_OF_DECODING
    return backbone.decode_pace * request.width * request.height * request.frames


def cut(request: GenerateRequest, backbone: Backbone) -> tuple[str, ...]:
    """A note for each prompt of which the end was not read."""
    limit = backbone.text_length
    prompts = {"prompt": request.prompt, "negative prompt": request.negative_prompt}
    long = [name for name, words in prompts.items() if backbone.count_tokens(words) > limit]
    return tuple(f"The {name} is long: the model read its first {limit} tokens only." for name in long)
