"""A clip of a subject from its request. torch comes in when the model is loaded."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.attention.windows import Window
from pipelines.errors import UserError
from pipelines.events import Event, Preview, Progress, Result
from pipelines.files import ANYWHERE, Files
from pipelines.methods.appearance_warping.plan import check, plan
from pipelines.methods.appearance_warping.request import PersonaliseRequest
from pipelines.methods.generate.lora import OwnLora, find_lora, with_lora
from pipelines.methods.generate.memory import forget_peak, peak
from pipelines.methods.generate.run import cut
from pipelines.methods.subject_adaptation.subject import ADAPTER, TOKEN, in_prompt, read_references, read_subject
from pipelines.models.registry import entry, require
from pipelines.models.store import ModelStore

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone
    from pipelines.methods.appearance_warping.generate import Clip, Fine


def run(request: PersonaliseRequest, store: ModelStore, files: Files = ANYWHERE) -> Iterator[Event]:
    """Draw the clip of `request`; closing the iterator cancels within a step.

    Yields Progress, per step a Preview "denoised" and, where appearance is injected, everything it was decided by; last a
    Result. Raises UserError in one sentence.
    """
    check(request)
    model = entry(request.model)
    require(model)
    folder = files.find(request.subject)
    prompt = in_prompt(request.prompt, read_subject(folder))
    lora = find_lora(request, files)
    planned = plan(request.with_seed(), model)
    yield Progress("preparing")
    if store.folder(model) is None:
        yield from store.download(model.name)

    def work(backbone: Backbone) -> Iterator[Event]:
        return with_lora(backbone, lora, draw(backbone, planned.request, prompt, folder, planned.notes, weights_of(folder, lora)))

    yield from store.attempt(model.name, work)


def weights_of(folder: Path, lora: OwnLora | None) -> Hashable:
    """What changes with the weights that a subject and a LoRA bring: where they lie, when they were written, how long they are."""
    files = [folder / ADAPTER, folder / TOKEN, *([lora.file] if lora else [])]
    states = [file.stat() if file.exists() else None for file in files]
    seen = tuple((str(file), state and (state.st_mtime_ns, state.st_size)) for file, state in zip(files, states, strict=True))
    return seen, lora and lora.strength


def draw(
    backbone: Backbone, request: PersonaliseRequest, prompt: str, folder: Path, notes: tuple[str, ...] = (), weights: Hashable = None
) -> Iterator[Event]:
    """The same on a loaded backbone, for a request that fits the model and a `prompt` that names the subject.

    `weights` as in `draw_subject`.
    """
    from pipelines.methods.appearance_warping.generate import draw_subject
    from pipelines.methods.subject_adaptation.subject import adapted

    started, picture = time.perf_counter(), reference_of(folder, request)
    forget_peak(backbone)
    with adapted(backbone, folder, request.model) as subject:
        with closing(draw_subject(backbone, subject, picture, clip_of(request, prompt), fine_of(request), weights)) as events:
            for event in events:
                if isinstance(event, Progress | Preview):
                    yield event
                else:
                    latents = event
        yield Progress("decoding")
        frames = backbone.decode_video(latents)
        notes = (*notes, *cut(request.model_copy(update={"prompt": prompt}), backbone))
    values = {"seconds": time.perf_counter() - started, "peak_bytes": peak(backbone), "prompt": prompt}
    yield Result(request, frames, request.fps, notes, values)


def reference_of(folder: Path, request: PersonaliseRequest) -> np.ndarray:
    """(H, W, 3) uint8: the picture that appearance is taken from."""
    pictures = read_references(folder)
    if request.injection == "off" and not pictures:
        return np.zeros((request.height, request.width, 3), np.uint8)
    if request.reference >= len(pictures):
        raise UserError(f"The subject has {len(pictures)} pictures, and picture {request.reference} (from 0) is not one of them.")
    return pictures[request.reference]


def clip_of(request: PersonaliseRequest, prompt: str) -> Clip:
    """What is to be drawn."""
    from pipelines.methods.appearance_warping.generate import Clip

    return Clip(
        prompt, request.height, request.width, request.frames, request.steps, request.guidance, request.seed, request.negative_prompt
    )


def fine_of(request: PersonaliseRequest) -> Fine:
    """The settings of the injection."""
    from pipelines.methods.appearance_warping.generate import Fine
    from pipelines.methods.appearance_warping.injection import Trust

    return Fine(
        inject=request.injection != "off",
        how=request.injection if request.injection in ("key-value", "concat") else "warp",
        trust=Trust(request.injection != "warp-unmasked", request.foreground, request.cycle),
        descriptor=request.descriptor,
        matching=Window("layers", request.matching_layer, request.matching_layer),
        values=Window("layers", request.first_layer, request.last_layer),
        steps=Window("steps", request.first_step, request.last_step),
        whole_reference=request.reference_frames == "match",
        **({"stride": 1} if request.inversion == "every level" else {}),
    )
