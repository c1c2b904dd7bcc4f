"""Before training on faces: what cannot be done, and what it would cost. No torch here."""

from __future__ import annotations

from pipelines.errors import UserError
from pipelines.faces.packs import packs
from pipelines.methods.face_training.request import TrainFaceRequest
from pipelines.methods.generate import cost
from pipelines.methods.generate.plan import Estimate, Plan, snap_frames, snap_side, snapped
from pipelines.models.registry import ModelEntry
from pipelines.requests import VideoRequest

BACKWARD = 1.5
"""Work of a backward pass in forward passes: the base's own weights need no gradients."""


def check(request: TrainFaceRequest) -> None:
    """Raise UserError for a request that cannot be run, before anybody is looked at."""
    if bool(request.people.strip()) == bool(request.drawn):
        raise UserError("Say whom to learn from: a folder of people, or a number of drawn people.")
    if request.people.strip() and not request.consent:
        raise UserError("Consent is missing: confirm that you may use these people's likenesses.")
    if {request.pack, request.recogniser} & {one.name for one in packs() if one.for_scoring}:
        raise UserError("Face models that measure likeness cannot teach it as well: choose other face models.")


def plan(request: TrainFaceRequest, entry: ModelEntry) -> Plan:
    """Sizes as the model can draw them. Raises UserError where a step cannot hold a single clip."""
    sides = {"width": snap_side(request.width, entry), "height": snap_side(request.height, entry)}
    planned = snapped(request, entry, sides | {"frames": snap_frames(request.frames, entry)})
    needed = tokens_of(planned.request, entry)
    if needed > request.tokens:
        raise UserError(f"A clip of this size has {needed} tokens where a step holds {request.tokens}: allow more, or make it smaller.")
    return planned


def tokens_of(request: TrainFaceRequest, entry: ModelEntry) -> int:
    """Tokens of one clip, at most: pictures of other proportions may have a few more."""
    shape = cost.shape_of(entry)
    return cost.tokens(VideoRequest(width=request.width, height=request.height, frames=request.frames), entry, shape)


def estimate(request: TrainFaceRequest, entry: ModelEntry, on_disk: bool) -> Estimate:
    """Roughly what training would cost here: steps as large as their tokens allow, forward and backward."""
    shape = cost.shape_of(entry)
    clip = VideoRequest(width=request.width, height=request.height, frames=request.frames, steps=1, guidance=1)
    clips = max(1, request.tokens // max(1, tokens_of(request, entry)))
    forward = cost.operations(clip, entry, shape)[0] * clips
    return Estimate(
        seconds=round(request.total_steps * forward * (1 + BACKWARD) / cost.speed(entry), 1),
        memory_bytes=cost.memory(clip, entry, shape) + cost.activations(clip, entry, shape) * clips,
        download_bytes=0 if on_disk else entry.bytes,
    )
