"""Before drawing a subject from a picture: checks, snapping, the prompt and cost. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pipelines.errors import UserError
from pipelines.methods.generate import plan as generation
from pipelines.methods.generate.plan import Estimate, Plan
from pipelines.methods.zero_shot_subject.adapters import known
from pipelines.methods.zero_shot_subject.names import FAMILY, OTHER_FAMILY
from pipelines.methods.zero_shot_subject.request import SubjectRequest
from pipelines.methods.zero_shot_subject.words import CLS, named
from pipelines.models.registry import ModelEntry


def check(request: SubjectRequest) -> None:
    """Raise UserError for a request that cannot be run however it is snapped."""
    generation.check(request)
    if request.use_reference and not request.image.strip():
        raise UserError("No picture is chosen: choose one that shows the subject.")
    if request.strength and not request.adapter.strip():
        raise UserError("No adapter is chosen: choose one that is made for the model.")
    word = request.class_word.strip()
    if word and CLS not in prompt_of(request):
        raise UserError(f"The prompt does not speak of the {word}: write {CLS} {word} where it should appear.")


def prompt_of(request: SubjectRequest) -> str:
    """The prompt that is read, with <cls> before the subject's word."""
    return named(request.prompt, request.class_word)


def plan(request: SubjectRequest, entry: ModelEntry) -> Plan:
    """Sides and frame count as the model can draw them, the prompt that is read, and what will have no effect.

    Raises UserError for a model of another family and for another model's adapter.
    """
    if entry.family != FAMILY:
        raise UserError(OTHER_FAMILY)
    adapter = known(request.adapter)
    if adapter and request.strength and entry.name != adapter.base:
        raise UserError(f"{adapter.title} is made for {adapter.base}, not for {entry.title}: choose that model, or another adapter.")
    planned = generation.plan(request, entry)
    return replace(planned, notes=(*planned.notes, *_notes(request)))


def _notes(request: SubjectRequest) -> Iterator[str]:
    prompt = prompt_of(request)
    if prompt != request.prompt:
        yield f"The prompt was read as: {prompt}"
    if CLS not in prompt:
        yield f"The prompt does not say whom the picture shows: give the subject's word, or write {CLS} before it."
    if not request.use_reference:
        yield "The picture has no effect, because it is not looked at."
    if not request.strength:
        yield "The adapter has no effect, because its strength is 0."


def estimate(request: SubjectRequest, entry: ModelEntry, on_disk: bool) -> Estimate:
    """That of plain generation of a clip that is as much longer as the reference makes the sequence."""
    more = entry.frame_step if request.use_reference else 0
    return generation.estimate(request.model_copy(update={"frames": request.frames + more}), entry, on_disk)
