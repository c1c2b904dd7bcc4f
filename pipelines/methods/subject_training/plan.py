"""Before training on subjects: what cannot be done, and what it would cost. No torch here."""

from __future__ import annotations

from dataclasses import replace

from pipelines.errors import UserError
from pipelines.methods.generate import cost
from pipelines.methods.generate.plan import Estimate, Plan, snap_frames, snap_side, snapped
from pipelines.methods.subject_training.cost import Cost, cost_of, ratio
from pipelines.methods.subject_training.recipe import TASKS
from pipelines.methods.subject_training.request import DRAWN, TrainSubjectsRequest
from pipelines.methods.zero_shot_subject.names import FAMILY, OTHER_FAMILY
from pipelines.models.registry import ModelEntry
from pipelines.requests import VideoRequest


def check(request: TrainSubjectsRequest) -> None:
    """Raise UserError for a request that cannot be run, before any data is looked at."""
    if not request.pairs.strip():
        raise UserError("There are no pairs to learn from: choose a folder of them, or playground.")
    if not request.clips.strip() and request.share_of_clips:
        raise UserError("There are no clips to learn motion from: choose a folder of them, or the way image-only.")
    if request.clips.strip() and (request.clips.strip() == DRAWN) != request.is_drawn:
        raise UserError(f"Pairs and clips are of different worlds: choose {DRAWN} for both, or a folder for each.")


def plan(request: TrainSubjectsRequest, entry: ModelEntry) -> Plan:
    """Sizes as the model can draw them, and what steps cost. Raises UserError for a model of another family."""
    if entry.family != FAMILY:
        raise UserError(OTHER_FAMILY)
    sides = {"width": snap_side(request.width, entry), "height": snap_side(request.height, entry)}
    planned = snapped(request, entry, sides | {"frames": snap_frames(request.frames, entry)})
    return replace(planned, notes=(*planned.notes, said(planned.request, entry)))


def said(request: TrainSubjectsRequest, entry: ModelEntry) -> str:
    """What is in a step, in a sentence."""
    found = costs(request, entry)
    pictures, clips = (found.steps[task] for task in TASKS)
    return (
        f"A step is {pictures.examples} pairs with {pictures.examples * pictures.tokens} tokens or {clips.examples} clips with "
        f"{clips.examples * clips.tokens}; in attention, a clip of {found.frames} latent frames costs {ratio(found.frames):.0f} pictures "
        f"and the mean step {found.attention:.1f} steps on pictures."
    )


def costs(request: TrainSubjectsRequest, entry: ModelEntry) -> Cost:
    """Of the whole training."""
    images, clips, *_ = request.sizes
    size = VideoRequest(width=request.width, height=request.height, frames=request.frames)
    return cost_of(size, entry, images=images, clips=clips, p=request.share_of_clips, total=request.total_steps)


def estimate(request: TrainSubjectsRequest, entry: ModelEntry, on_disk: bool) -> Estimate:
    """Roughly what training would cost here, without encoding pictures and clips."""
    *_, images, clips = request.sizes
    size = VideoRequest(width=request.width, height=request.height, frames=request.frames, steps=1, guidance=1)
    shape = cost.shape_of(entry)
    tokens = costs(request, entry).steps
    most = max(images * tokens["images"].tokens, clips * tokens["clips"].tokens) / max(1, cost.tokens(size, entry, shape))
    seconds = 60 * request.minutes or costs(request, entry).seconds
    return Estimate(
        seconds=round(seconds, 1),
        memory_bytes=cost.memory(size, entry, shape) + int(cost.activations(size, entry, shape) * most),
        download_bytes=0 if on_disk else entry.bytes,
    )
