"""Before adapting: what cannot be done, and what it would cost. No torch here."""

from __future__ import annotations

from pipelines.errors import UserError
from pipelines.methods.generate import cost
from pipelines.methods.generate.plan import Estimate, Plan, snap_side, snapped
from pipelines.methods.subject_adaptation.pictures import MOST
from pipelines.methods.subject_adaptation.request import PRESETS, AdaptRequest
from pipelines.methods.subject_adaptation.subject import token_of
from pipelines.models.registry import ModelEntry
from pipelines.requests import VideoRequest

BACKWARD = 2.0
"""Work of a backward pass in forward passes."""

SAMPLES = 4
SAMPLE_STEPS = 20


def check(request: AdaptRequest) -> None:
    """Raise UserError for a request that cannot be run, before its pictures are looked at."""
    token_of(request.name)
    if not request.class_word.strip():
        raise UserError("The class word is empty: write what the subject is, such as toy or person.")
    if not request.images:
        raise UserError(f"There is no picture to learn from: add 1 to {MOST} pictures of the subject.")


def plan(request: AdaptRequest, entry: ModelEntry) -> Plan:
    """Sides as the model can draw them."""
    return snapped(request, entry, {"width": snap_side(request.width, entry), "height": snap_side(request.height, entry)})


def estimate(request: AdaptRequest, entry: ModelEntry, on_disk: bool) -> Estimate:
    """Roughly what training would cost here: a forward and a backward pass per picture and step, and the sample pictures."""
    shape, batch = cost.shape_of(entry), PRESETS[request.preset].batch
    picture = VideoRequest(width=request.width, height=request.height, frames=1, steps=1, guidance=1)
    forward = cost.operations(picture, entry, shape)[0]
    passes = request.total_steps * batch * (1 + BACKWARD) + SAMPLES * SAMPLE_STEPS * 2
    return Estimate(
        seconds=round(passes * forward / cost.speed(entry), 1),
        memory_bytes=cost.memory(picture, entry, shape) + cost.activations(picture, entry, shape) * batch,
        download_bytes=0 if on_disk else entry.bytes,
    )
