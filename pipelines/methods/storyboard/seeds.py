"""Seeds of a board: drawn once, so that one that was killed goes on as what it was. No torch here."""

from __future__ import annotations

from pathlib import Path

from pipelines.errors import UserError
from pipelines.methods.storyboard.request import StoryboardRequest

BOARD = "board.json"


def with_known_seeds(request: StoryboardRequest, folder: Path | None) -> StoryboardRequest:
    """`request` with every seed drawn: those of the unfinished board in `folder`, if it is the same board, else fresh ones."""
    seeded = request.with_seed()
    if folder is None:
        return seeded
    try:
        before = StoryboardRequest.from_json((folder / BOARD).read_text(encoding="utf-8"))
    except (OSError, UserError):
        before = None
    if isinstance(before, StoryboardRequest) and _without_drawn_seeds(before, request) == request:
        return before
    folder.mkdir(parents=True, exist_ok=True)
    (folder / BOARD).write_text(seeded.to_json(), encoding="utf-8")
    return seeded


def _without_drawn_seeds(board: StoryboardRequest, request: StoryboardRequest) -> StoryboardRequest:
    """`board` with -1 wherever `request` has it."""
    if len(board.shots) != len(request.shots):
        return board
    pairs = zip(board.shots, request.shots, strict=True)
    shots = tuple(shot.model_copy(update={"seed": -1}) if asked.seed < 0 else shot for shot, asked in pairs)
    return board.model_copy(update={"shots": shots, "seed": -1 if request.seed < 0 else board.seed})
