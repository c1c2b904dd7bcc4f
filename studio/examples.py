"""The clips that come with the project, as cards that fill in a form with one click."""

from __future__ import annotations

import json
from html import escape

from pipelines.models.registry import ROOT

FOLDER = ROOT / "assets" / "examples"
_CARD = (
    '<button type="button" class="lk-example" data-prompt="{prompt}" data-file="{file}" title="{prompt}">'
    '<video src="studio/examples/{file}" muted loop playsinline preload="metadata" tabindex="-1" aria-hidden="true"></video>'
    "<span>{title}</span></button>"
)


def examples(*kinds: str) -> list[dict[str, str]]:
    """Entries {file, caption, kind} of assets/examples/index.json, of the given kinds or all; none without the file."""
    index = FOLDER / "index.json"
    entries = json.loads(index.read_text()) if index.exists() else []
    return [entry for entry in entries if not kinds or entry["kind"] in kinds]


def cards(*kinds: str) -> str:
    """HTML of one card per example: the clip, which plays while it is pointed at, and its name."""
    return "".join(
        _CARD.format(prompt=escape(entry["caption"]), file=escape(entry["file"]), title=escape(_title(entry["file"])))
        for entry in examples(*kinds)
    )


def _title(file: str) -> str:
    """ "spinning-star.mp4" -> "Spinning star"."""
    return file.rsplit(".", 1)[0].replace("-", " ").capitalize()
