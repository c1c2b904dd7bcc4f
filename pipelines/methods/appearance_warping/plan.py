"""Before drawing a subject: checks, snapping and cost. No torch here."""

from __future__ import annotations

from dataclasses import replace

from pipelines.errors import UserError
from pipelines.methods.appearance_warping.request import PersonaliseRequest
from pipelines.methods.generate import plan as generation
from pipelines.methods.generate.plan import Estimate, Plan
from pipelines.models.registry import ModelEntry

INVERSION = {"match": 0.6, "1": 0.15}
"""Cost of inverting the reference at every level, in clips: one row per step instead of the two of guidance."""

QUICK = 0.6
"""Share of it where levels are passed over."""


def check(request: PersonaliseRequest) -> None:
    """Raise UserError for a request that cannot be run however it is snapped."""
    generation.check(request)
    if not request.subject.strip():
        raise UserError("No subject is chosen: choose one, or make one from a few pictures first.")
    for name, (first, last) in {
        "layer": (request.first_layer, request.last_layer),
        "step": (request.first_step, request.last_step),
    }.items():
        if first > last:
            raise UserError(f"The first {name} of the injection comes after the last: make it {last:.2f} or less.")


def plan(request: PersonaliseRequest, entry: ModelEntry) -> Plan:
    """Sides and frame count as the model can draw them."""
    return generation.plan(request, entry)


def estimate(request: PersonaliseRequest, entry: ModelEntry, on_disk: bool) -> Estimate:
    """That of plain generation, and the inversion of the reference."""
    plain = generation.estimate(request, entry, on_disk)
    share = 0.0 if request.injection == "off" else INVERSION[request.reference_frames]
    share *= QUICK if request.inversion == "quick" else 1
    return replace(plain, seconds=round(plain.seconds * (1 + share), 1))
