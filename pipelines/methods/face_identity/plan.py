"""Before drawing a person: checks, snapping and cost. No torch here."""

from __future__ import annotations

from dataclasses import replace

from pipelines.errors import UserError
from pipelines.faces.packs import pack
from pipelines.methods.face_identity.adapters import known
from pipelines.methods.face_identity.guidance import passes
from pipelines.methods.face_identity.request import FaceRequest
from pipelines.methods.generate import plan as generation
from pipelines.methods.generate.plan import Estimate, Plan
from pipelines.models.registry import ModelEntry

ADDED = 0.1
"""Work of both adapters beside the model's own, and of looking at the photo, as a share of a plain pass."""


def check(request: FaceRequest) -> None:
    """Raise UserError for a request that cannot be run however it is snapped."""
    generation.check(request)
    if not request.photo.strip():
        raise UserError("No photo is chosen: choose a picture of the person who shall be in the clip.")
    if not request.consent:
        raise UserError("Consent is missing: confirm that you may use this person's likeness.")
    if not request.adapter.strip():
        raise UserError("No adapter is chosen: choose one that is made for the model.")
    if request.first_step > request.last_step:
        raise UserError(f"The first step comes after the last: make it {request.last_step:.2f} or less.")
    if pack(request.pack).for_scoring:
        raise UserError(f"{pack(request.pack).title} only measures likeness: choose other face models.")


def plan(request: FaceRequest, entry: ModelEntry) -> Plan:
    """Sides and frame count as the model can draw them, and what will have no effect. Raises UserError for another model's adapter."""
    adapter = known(request.adapter)
    if adapter and entry.name != adapter.base:
        raise UserError(f"{adapter.title} is made for {adapter.base}, not for {entry.title}: choose that model, or another adapter.")
    planned = generation.plan(request, entry)
    if not request.id_scale and not request.ref_scale:
        return replace(planned, notes=(*planned.notes, "The photo has no effect, because identity and details are both 0."))
    return planned


def estimate(request: FaceRequest, entry: ModelEntry, on_disk: bool) -> Estimate:
    """That of plain generation, with one pass more where the face steers by itself."""
    plain = generation.estimate(request, entry, on_disk)
    usual = 2 if request.guidance > 1 else 1
    rows = len(passes(request.guidance, request.id_guidance or None))
    return replace(plain, seconds=round(plain.seconds * (rows / usual + ADDED), 1))
