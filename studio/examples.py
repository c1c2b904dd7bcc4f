"""The clips, portraits and pictures of toys that come with the project, as cards that fill in a form with one click."""

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
_STILL = (
    '<button type="button" class="lk-example" data-file="{file}" data-word="{word}" title="{words}">'
    '<img src="studio/examples/{file}" alt="" loading="lazy"/><span>{title}</span></button>'
)


def examples() -> list[dict[str, str]]:
    """Entries {file, caption, kind} of assets/examples/index.json; none without the file."""
    return _listed("index.json")


def cards() -> str:
    """HTML of one card per example: the clip, which plays while it is pointed at, and its name."""
    return "".join(
        _CARD.format(prompt=escape(entry["caption"]), file=escape(entry["file"]), title=escape(_title(entry["file"])))
        for entry in examples()
    )


def portraits() -> list[dict[str, str]]:
    """Entries {file, caption} of assets/examples/portraits.json; none without the file."""
    return _listed("portraits.json")


def toys() -> list[dict[str, str]]:
    """Entries {file, caption, word} of assets/examples/toys.json, `word` naming what is seen; none without the file."""
    return _listed("toys.json")


def portrait_cards() -> str:
    """The same as `cards` for portraits."""
    return _stills(portraits())


def toy_cards() -> str:
    """The same as `cards` for pictures of toys."""
    return _stills(toys())


def _stills(listed: list[dict[str, str]]) -> str:
    """HTML of one card per picture; one that says what it shows hands that over too."""
    return "".join(
        _STILL.format(
            words=escape(entry["caption"]),
            word=escape(entry.get("word", "")),
            file=escape(entry["file"]),
            title=escape(_title(entry["file"])),
        )
        for entry in listed
    )


def _listed(name: str) -> list[dict[str, str]]:
    index = FOLDER / name
    return json.loads(index.read_text()) if index.exists() else []


def _title(file: str) -> str:
    """ "spinning-star.mp4" -> "Spinning star"."""
    return file.rsplit(".", 1)[0].replace("-", " ").capitalize()
