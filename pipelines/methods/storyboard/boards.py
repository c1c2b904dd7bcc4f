"""Boards as people write them: a list of lines, or JSON. No torch here."""

from __future__ import annotations

import json
from typing import Any

from pipelines.errors import UserError
from pipelines.methods.storyboard.request import MOST_SHOTS, StoryboardRequest
from pipelines.requests import Request

LONGEST = 200_000
"""Characters of a board."""


def read_board(text: str) -> dict[str, Any]:
    """Values for a `StoryboardRequest` from what a file of a board says.

    That is a board exported here; or JSON with `shots`, texts or {"text", "seed"}, and any other settings, `character` standing
    for `prompt`; or plain text, a shot in each line. Raises UserError in one sentence for anything else.
    """
    if len(text) > LONGEST:
        raise UserError(f"This board is too long: at most {LONGEST:,} characters are read.")
    if not text.lstrip().startswith(("{", "[")):
        return {"shots": _shots([line.strip() for line in text.splitlines() if line.strip()])}
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError("This board is no JSON that can be read: check its commas and quotes.") from error
    if isinstance(data, list):
        return {"shots": _shots(data)}
    if "method" in data:
        request = Request.from_json(text)
        if not isinstance(request, StoryboardRequest):
            raise UserError("These settings belong to another method: choose a board.")
        return request.model_dump()
    values = {("prompt" if name == "character" else name): value for name, value in data.items()}
    return values | {"shots": _shots(data.get("shots"))}


def _shots(entries: Any) -> list[dict[str, Any]]:
    if not isinstance(entries, list) or not entries:
        raise UserError("This board has no shots: give it a list of them, or one in each line.")
    if len(entries) > MOST_SHOTS:
        raise UserError(f"This board has {len(entries)} shots: at most {MOST_SHOTS} can be drawn, so leave some out.")
    shots = [{"text": entry} if isinstance(entry, str) else entry for entry in entries]
    for number, shot in enumerate(shots, start=1):
        if not isinstance(shot, dict) or not isinstance(shot.get("text"), str):
            raise UserError(f"Shot {number} of this board is no text: write what happens in it.")
    return shots
