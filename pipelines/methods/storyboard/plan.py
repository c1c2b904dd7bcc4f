"""Before a board: checks, snapping, cost, and what the two sliders stand for. No torch here."""

from __future__ import annotations

from dataclasses import replace

from pipelines.errors import UserError
from pipelines.methods.generate import plan as generation
from pipelines.methods.generate.plan import Estimate, Plan
from pipelines.methods.storyboard.request import StoryboardRequest
from pipelines.models.registry import ModelEntry

ALONE = 1.05
"""Cost of a shot drawn alone beside the consistent one, whose attention has a few keys more, in clips."""


def check(request: StoryboardRequest) -> None:
    """Raise UserError for a board that cannot be drawn however it is snapped."""
    if not request.prompt.strip():
        raise UserError("The character is empty: say who or what is in every shot, such as a red ball.")
    if not request.shots:
        raise UserError("The board has no shots: add one.")
    for name, (first, last) in {
        "sharing": (request.share_from, request.share_until),
        "refinement": (request.refine_from, request.refine_until),
    }.items():
        if first < last:
            raise UserError(f"The {name} ends at more noise than it begins with: let it begin at {last:g} or more.")
    if request.refine_first > request.refine_last:
        raise UserError(f"The first refined layer comes after the last: make it {request.refine_last:.2f} or less.")
    if missing := [number for number in request.only if number >= len(request.shots)]:
        raise UserError(f"There is no shot {missing[0] + 1}: the board has {len(request.shots)}.")


def anchors_of(request: StoryboardRequest) -> tuple[int, ...]:
    """Numbers of the anchors that exist, two where there are two shots: the first ones stand in for those that were removed."""
    known = [number for number in dict.fromkeys(request.anchors) if number < len(request.shots)]
    spare = [number for number in range(len(request.shots)) if number not in known]
    return tuple(sorted([*known, *spare][:2]))


def drawn(request: StoryboardRequest) -> tuple[int, ...]:
    """Numbers of the shots that have to be drawn: those that are wanted, and the anchors they need."""
    wanted = set(request.only or range(len(request.shots)))
    return tuple(sorted(wanted | set(anchors_of(request)) if len(request.shots) > 1 else wanted))


def plan(request: StoryboardRequest, entry: ModelEntry) -> Plan:
    """Sides and frame count as the model can draw them, and what was put right."""
    planned = generation.plan(request, entry)
    notes = list(planned.notes)
    known = tuple(number for number in dict.fromkeys(request.anchors) if number < len(request.shots))
    if len(request.shots) > 2 and len(known) < 2:
        names = " and ".join(str(number + 1) for number in anchors_of(request))
        notes.append(f"The anchors are shots {names}, because fewer than two that exist were chosen.")
    texts = [shot.text.strip() for shot in request.shots]
    if empty := [number + 1 for number, text in enumerate(texts) if not text]:
        notes.append(f"Shot {empty[0]} says nothing of its own: it shows the character alone.")
    board = planned.request.model_copy(update={"anchors": anchors_of(request)})
    return Plan(board, tuple(notes))


def estimate(request: StoryboardRequest, entry: ModelEntry, on_disk: bool) -> Estimate:
    """Each shot is drawn alone and in company, and once more of both in three passes; a single one is drawn plainly.
    An empty board is estimated as one shot.

    Memory is that of the shots that are drawn at a time, two at least: the anchors.
    """
    plain, count = generation.estimate(request, entry, on_disk), max(1, len(drawn(request)))
    clips = 1 + ALONE if len(request.shots) > 1 else 1.0
    if request.passes == "three" and request.refine and len(request.shots) > 1:
        clips *= 2
    at_once = max(len(anchors_of(request)), min(request.together, count), 1)
    longer = request.model_copy(update={"frames": request.frames * at_once})
    memory = generation.estimate(longer, entry, on_disk).memory_bytes
    return replace(plain, seconds=round(plain.seconds * count * clips, 1), memory_bytes=memory)


def windows(consistency: float, freedom: float) -> dict[str, float]:
    """What the two sliders of a board, 0..1 each, stand for; at 0.5 and 0.5 the paper's numbers (B.14).

    Args:
        consistency: how long the character's looks are shared, and refined where the model gains by it.
        freedom: how long each shot keeps the queries it would have alone; little of it drops some of them besides.
    """
    return {
        "share_until": round(950 - 800 * consistency, -1),
        "refine_until": round(950 - 720 * consistency, -1),
        "keep_until": round(1000 - 500 * freedom, -1),
        "dropout": round(max(0.0, 0.4 - 0.8 * freedom), 2),
    }
