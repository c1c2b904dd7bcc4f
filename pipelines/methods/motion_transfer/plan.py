"""Before taking over a motion: checks, snapping and cost. No torch here."""

from __future__ import annotations

from dataclasses import replace

from pipelines.errors import UserError
from pipelines.methods.generate import plan as generation
from pipelines.methods.generate.plan import Estimate, Plan
from pipelines.methods.motion_transfer.request import MotionRequest
from pipelines.models.registry import ModelEntry

Crop = tuple[float, float, float, float]
"""Left, top, width, height, as shares 0..1 of the picture."""


def check(request: MotionRequest) -> None:
    """Raise UserError for a request that cannot be run however it is snapped."""
    generation.check(request)
    if not request.source.strip():
        raise UserError("No source clip is chosen: choose the clip whose motion shall be taken over.")
    if request.first_layer > request.last_layer:
        raise UserError(f"The first layer comes after the last: make it {request.last_layer:.2f} or less.")
    if 0 < request.end <= request.start:
        raise UserError(f"The part of the source ends before it begins: make its end later than {request.start:g} s, or 0.")
    crop_of(request)


def crop_of(request: MotionRequest) -> Crop | None:
    """The part of the picture, None for its middle; raises UserError for anything but four shares within it."""
    if not request.crop.strip():
        return None
    try:
        left, top, width, height = (float(part) for part in request.crop.split(","))
    except ValueError as error:
        raise UserError("The crop must be four shares of the picture, such as 0.25,0,0.5,1.") from error
    if not (0 <= left < 1 and 0 <= top < 1 and 0 < width <= 1 - left + 1e-6 and 0 < height <= 1 - top + 1e-6):
        raise UserError("The crop leaves the picture: left, top, width and height must be shares of it, such as 0.25,0,0.5,1.")
    return left, top, width, height


def plan(request: MotionRequest, entry: ModelEntry) -> Plan:
    """Sides and frame count as the model can draw them, and what will have no effect."""
    planned = generation.plan(request, entry)
    if taken(request) == 0:
        return replace(planned, notes=(*planned.notes, "The source has no effect, because its strength is 0."))
    if request.dropout >= 1:
        return replace(planned, notes=(*planned.notes, "The source has no effect, because all of its queries are dropped."))
    return planned


def taken(request: MotionRequest) -> int:
    """Steps at which the source's queries stand in: the first k."""
    return int(request.strength * request.steps + 0.5)


def looks(request: MotionRequest) -> int:
    """Forward passes over the source."""
    return min(taken(request), 1) if request.recorded == "one level" else taken(request)


def estimate(request: MotionRequest, entry: ModelEntry, on_disk: bool) -> Estimate:
    """That of plain generation, and the passes over the source: each as long as one half of a guided step, at most."""
    plain = generation.estimate(request, entry, on_disk)
    halves = request.steps * (2 if request.guidance > 1 else 1)
    return replace(plain, seconds=round(plain.seconds * (1 + looks(request) / halves), 1))
