"""A clip of the subject in one picture from its request. torch comes in when the weights are looked at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from pipelines.events import Event, Preview, Progress, Result
from pipelines.files import ANYWHERE, Files
from pipelines.methods.generate.lora import find_lora, with_lora
from pipelines.methods.generate.memory import forget_peak, peak
from pipelines.methods.generate.run import cut
from pipelines.methods.zero_shot_subject.adapters import find_adapter
from pipelines.methods.zero_shot_subject.picture import reference_of
from pipelines.methods.zero_shot_subject.plan import check, plan, prompt_of
from pipelines.methods.zero_shot_subject.request import SubjectRequest
from pipelines.models.registry import entry, require
from pipelines.models.store import ModelStore

if TYPE_CHECKING:
    import numpy as np

    from pipelines.backbones.base import Backbone
    from pipelines.methods.zero_shot_subject.loop import SubjectSettings
    from pipelines.methods.zero_shot_subject.weights import Adapter


def run(request: SubjectRequest, store: ModelStore, files: Files = ANYWHERE) -> Iterator[Event]:
    """Draw the clip of `request`; closing the iterator cancels within a step.

    Yields Progress; Previews "reference" before the drawing begins and "denoised" as often as asked; last a Result whose values
    have the prompt as it was read. Raises UserError in one sentence.
    """
    check(request)
    model = entry(request.model)
    require(model)
    lora = find_lora(request, files)
    planned = plan(request.with_seed(), model)
    request, notes, shown, adapter = planned.request, planned.notes, None, None
    yield Progress("reading the picture")
    if request.use_reference:
        shown = reference_of(files.find(request.image), request.height, request.width, request.fit)
        yield Preview("frames", "reference", 0, shown[None])
    if request.strength:
        from pipelines.methods.zero_shot_subject.weights import look

        adapter = look(find_adapter(request.adapter, files))
        notes = (*notes, *_trained_elsewhere(adapter, model.name))
    if store.folder(model) is None:
        yield from store.download(model.name)

    def work(backbone: Backbone) -> Iterator[Event]:
        return with_lora(backbone, lora, draw(backbone, request, adapter, shown, notes))

    yield from store.attempt(model.name, work)


def draw(
    backbone: Backbone, request: SubjectRequest, adapter: Adapter | None, shown: np.ndarray | None, notes: tuple[str, ...] = ()
) -> Iterator[Event]:
    """The same on a loaded backbone, for a request that fits the model.

    Args:
        adapter: None: the model as it is.
        shown: (H, W, 3) uint8, the picture in the size of the clip; None: it is not looked at.
    """
    from pipelines.methods.face_identity.loop import Drawn
    from pipelines.methods.zero_shot_subject.loop import draw_subject
    from pipelines.methods.zero_shot_subject.weights import worn

    started, prompt = time.perf_counter(), prompt_of(request)
    forget_peak(backbone)
    reference = None if shown is None else backbone.encode_video(shown[None])
    with ExitStack() as stack:
        if adapter is not None:
            stack.enter_context(worn(backbone, adapter, request.strength, request.alpha or None))
        for event in stack.enter_context(closing(draw_subject(backbone, reference, settings_of(request)))):
            if isinstance(event, Drawn):
                drawn = event
            else:
                yield event
    yield Progress("decoding")
    frames = backbone.decode_video(drawn.latents)
    values = {"seconds": time.perf_counter() - started, "peak_bytes": peak(backbone), "prompt": prompt}
    notes = (*notes, *cut(request.model_copy(update={"prompt": prompt}), backbone))
    yield Result(request, frames, request.fps, notes, values)


def settings_of(request: SubjectRequest) -> SubjectSettings:
    """The settings of the loop."""
    from pipelines.methods.zero_shot_subject.loop import SubjectSettings

    same = {name: getattr(request, name) for name in SubjectSettings.__dataclass_fields__ if name != "prompt"}
    return SubjectSettings(prompt_of(request), **same)


def _trained_elsewhere(adapter: Adapter, model: str) -> tuple[str, ...]:
    base = adapter.card.base
    return (f"The adapter was trained on {base[:80]}, not on {model}.",) if base not in ("", model) else ()
