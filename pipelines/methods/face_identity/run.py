"""A clip of the person in a photograph from its request. torch comes in when the model is loaded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from pipelines.events import Event, Progress, Result
from pipelines.files import ANYWHERE, Files
from pipelines.methods.face_identity.adapters import find_adapter
from pipelines.methods.face_identity.plan import check, plan
from pipelines.methods.face_identity.request import FaceRequest
from pipelines.methods.generate.lora import find_lora, with_lora
from pipelines.methods.generate.memory import forget_peak, peak
from pipelines.methods.generate.run import cut
from pipelines.models.registry import entry, require
from pipelines.models.store import ModelStore

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone
    from pipelines.methods.face_identity.condition import Conditions
    from pipelines.methods.face_identity.loop import FaceSettings
    from pipelines.methods.face_identity.modules import FaceAdapter
    from pipelines.methods.face_identity.photo import Portrait


def run(request: FaceRequest, store: ModelStore, files: Files = ANYWHERE) -> Iterator[Event]:
    """Draw the clip of `request`; closing the iterator cancels within a step.

    Yields Progress; Previews of the photograph (`Portrait.previews`) before the drawing begins, "denoised" per step, "face so far"
    and "likeness so far" now and then, "face in the clip" and "likeness in the clip"; last a Result whose values say in which share
    of the frames a face was found and how alike it is. Raises UserError in one sentence.
    """
    check(request)
    model = entry(request.model)
    require(model)
    lora = find_lora(request, files)
    planned = plan(request.with_seed(), model)
    path = find_adapter(request.adapter, files)
    yield Progress("reading the photo")
    from pipelines.methods.face_identity.photo import portrait
    from pipelines.methods.face_identity.weights import read_adapter

    adapter = read_adapter(path)
    shown = portrait(request, adapter.card, files)
    yield from shown.previews()
    if store.folder(model) is None:
        yield from store.download(model.name)

    def work(backbone: Backbone) -> Iterator[Event]:
        return draw(backbone, planned.request, adapter, shown, (*planned.notes, *shown.notes), lora)

    yield from store.attempt(model.name, work)


def draw(
    backbone: Backbone, request: FaceRequest, adapter: FaceAdapter, shown: Portrait, notes: tuple[str, ...] = (), lora: object = None
) -> Iterator[Event]:
    """The same on a loaded backbone, for a request that fits the model and the face `shown` to it."""
    from pipelines.methods.face_identity.condition import conditions_of
    from pipelines.methods.face_identity.weights import check_fits

    check_fits(adapter.sizes, backbone)
    started = time.perf_counter()
    forget_peak(backbone)
    yield Progress("looking at the face")
    conditions = conditions_of(
        backbone, adapter, shown.embedding if request.id_scale else None, shown.reference if request.ref_scale else None
    )
    yield from with_lora(backbone, lora, _drawn(backbone, request, adapter, conditions, shown, notes, started))


def _drawn(
    backbone: Backbone, request: FaceRequest, adapter: FaceAdapter, conditions: Conditions, shown: Portrait, notes: tuple[str, ...],
    started: float,
) -> Iterator[Event]:  # fmt: skip
    from pipelines.faces import Detector, open_recogniser, pack
    from pipelines.methods.face_identity.loop import Drawn, Estimated, generate_face
    from pipelines.methods.face_identity.marking import marked
    from pipelines.methods.face_identity.seen import likeness

    detector, recogniser = Detector.open(pack(request.pack).find(), embed=False), open_recogniser(adapter.card.recogniser)
    with closing(generate_face(backbone, adapter, conditions, settings_of(request))) as events:
        for event in events:
            if isinstance(event, Drawn):
                drawn = event
            elif not isinstance(event, Estimated):
                yield event
            elif request.watch_every and (event.step + 1) % request.watch_every == 0 and event.step + 1 < request.steps:
                clip = backbone.decode_video(event.latents)
                yield from likeness(clip, shown.embedding, detector, recogniser).previews(clip, "so far", event.step)
    yield Progress("decoding")
    frames = backbone.decode_video(drawn.latents)
    seconds = time.perf_counter() - started
    yield Progress("comparing the faces")
    seen = likeness(frames, shown.embedding, detector, recogniser)
    yield from seen.previews(frames, "in the clip", request.steps - 1)
    values = {"seconds": seconds, "peak_bytes": peak(backbone), **seen.values()}
    frames = marked(frames) if request.mark else frames
    yield Result(request, frames, request.fps, (*notes, *cut(request, backbone)), values)


def settings_of(request: FaceRequest) -> FaceSettings:
    """The settings of the loop."""
    from pipelines.methods.face_identity.loop import FaceSettings

    same = {name: getattr(request, name) for name in FaceSettings.__dataclass_fields__ if name != "id_guidance"}
    return FaceSettings(**same, id_guidance=request.id_guidance or None)
