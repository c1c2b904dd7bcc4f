"""A clip that moves as another one from its request. torch comes in when the model is loaded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import UserError
from pipelines.events import Event, Preview, Progress, Result
from pipelines.files import ANYWHERE, Files
from pipelines.methods.generate.lora import find_lora, with_lora
from pipelines.methods.generate.memory import forget_peak, peak
from pipelines.methods.generate.run import cut
from pipelines.methods.motion_transfer.plan import check, crop_of, plan
from pipelines.methods.motion_transfer.request import MotionRequest
from pipelines.models.registry import entry, require
from pipelines.models.store import ModelStore

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


def run(request: MotionRequest, store: ModelStore, files: Files = ANYWHERE) -> Iterator[Event]:
    """Draw the clip of `request`; closing the iterator cancels within a step.

    Yields Progress; Previews "source" and "motion of the source" before the drawing begins, "denoised" per step and "motion of
    the result"; last a Result whose values say how alike both move. Raises UserError in one sentence.
    """
    check(request)
    model = entry(request.model)
    require(model)
    lora = find_lora(request, files)
    planned = plan(request.with_seed(), model)
    yield Progress("reading the source")
    source = read_source(planned.request, files)
    yield Preview("frames", "source", 0, source)
    if store.folder(model) is None:
        yield from store.download(model.name)

    def work(backbone: Backbone) -> Iterator[Event]:
        return with_lora(backbone, lora, draw(backbone, planned.request, source, planned.notes))

    yield from store.attempt(model.name, work)


def read_source(request: MotionRequest, files: Files) -> np.ndarray:
    """(T, H, W, 3) uint8: the part of the source that is used, in the size, length and pace of the clip that is drawn.

    Raises UserError for a file that is not there or is no clip.
    """
    from pipelines.video.excerpt import read_excerpt

    file = files.find(request.source)
    if not file.is_file():
        raise UserError(f"The source clip {file.name} is not there any more: choose it again.")
    return read_excerpt(
        file, start=request.start, end=request.end or None, fps=request.fps, frames=request.frames, crop=crop_of(request),
        height=request.height, width=request.width,
    )  # fmt: skip


def draw(backbone: Backbone, request: MotionRequest, source: np.ndarray, notes: tuple[str, ...] = ()) -> Iterator[Event]:
    """The same on a loaded backbone, for a request that fits the model and the frames (T, H, W, 3) uint8 of its source."""
    from pipelines.evaluation.eyes import encoder
    from pipelines.methods.motion_transfer.seen import compared, motion_of
    from pipelines.methods.motion_transfer.transfer import Drawn, transfer

    theirs = motion_of(source)
    yield from theirs.previews("source")
    yield Progress("reading the source")
    started = time.perf_counter()
    forget_peak(backbone)
    with closing(transfer(backbone, request, backbone.encode_video(source))) as events:
        for event in events:
            if isinstance(event, Drawn):
                drawn = event
            else:
                yield event
    yield Progress("decoding")
    frames = backbone.decode_video(drawn.latents)
    seconds = time.perf_counter() - started
    yield Progress("comparing both motions")
    ours = motion_of(frames)
    yield from ours.previews("result")
    values = {"seconds": seconds, "peak_bytes": peak(backbone), "looks": drawn.looks} | compared(ours, theirs, encoder())
    yield Result(request, frames, request.fps, (*notes, *cut(request, backbone)), values)
