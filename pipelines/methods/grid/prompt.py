"""The grammar of a grid's prompt: built from a form, read back from text. No torch here.

"This 2x2 grid illustrates <what they share>. [TOP LEFT] <clause> [TOP RIGHT] <clause> ...", where a clause may begin with the tags
[name_identity] and [action_motion], and with "original input:" or "compositional result:" (Grid composition, sections 3.1 and 3.2).
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from pipelines.errors import UserError
from pipelines.methods.grid.layout import LAYOUTS, Layout

Role = Literal["", "original input", "compositional result"]
ROLES: tuple[Role, ...] = ("original input", "compositional result")
OPENING = re.compile(r"This (\d+x\d+) grid(?: illustrates (.*))?\.", re.DOTALL)
TAG = re.compile(r"\[([a-z0-9-]+)_(identity|motion)\] ?")


@dataclass(frozen=True)
class Clause:
    """What is said of one cell; spaces and character references are put in order on the way in.

    Attributes:
        text: in the user's words.
        identity, motion: names of the tags, without brackets and ending; empty: no tag.
        role: of a composition.
    """

    text: str = ""
    identity: str = ""
    motion: str = ""
    role: Role = ""

    def __post_init__(self) -> None:
        role, text = self.role, clean(self.text)
        for one in ROLES:
            if not role and text.startswith(f"{one}:"):
                role, text = one, text.removeprefix(f"{one}:").lstrip()
        values = {"text": text, "identity": slug(self.identity), "motion": slug(self.motion), "role": role}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def tags(self) -> list[str]:
        """As the prompt has them."""
        return [f"[{name}_{kind}]" for name, kind in ((self.identity, "identity"), (self.motion, "motion")) if name]

    @property
    def said(self) -> str:
        """The clause as the prompt has it."""
        return " ".join(part for part in (*self.tags, self.role and f"{self.role}:", self.text) if part)

    @property
    def alone(self) -> str:
        """The clause as it is read by itself: its role means something only among the others."""
        return " ".join(part for part in (*self.tags, self.text) if part)


@dataclass(frozen=True)
class GridPrompt:
    """A whole prompt.

    Attributes:
        shared: what all cells show; empty is fine.
        clauses: of each cell, row by row.
    """

    layout: Layout
    shared: str
    clauses: tuple[Clause, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shared", clean(self.shared))
        if len(self.clauses) != self.layout.count:
            raise UserError(f"A grid of {self.layout} has {self.layout.count} cells, and {len(self.clauses)} were described.")

    @property
    def opening(self) -> str:
        """The first sentence."""
        return f"This {self.layout} grid illustrates {self.shared}." if self.shared else f"This {self.layout} grid."

    def parts(self) -> list[str]:
        """The first sentence, and each cell's label with its clause."""
        labels = (f"[{name.upper()}]" for name in self.layout.names)
        said = [f"{label} {clause.said}".strip() for label, clause in zip(labels, self.clauses, strict=True)]
        return [self.opening, *said]

    def build(self) -> str:
        """The prompt as it is read."""
        return " ".join(self.parts())

    def spans(self) -> list[tuple[int, int]]:
        """Characters (from, until) of each of `parts` in what `build` gives."""
        found, at = [], 0
        for part in self.parts():
            found.append((at, at + len(part)))
            at += len(part) + 1
        return found


def parse(text: str) -> GridPrompt:
    """The inverse of `GridPrompt.build`; raises UserError saying what is missing."""
    text = clean(text, brackets=True)
    first, bracket, rest = text.partition("[")
    opened = OPENING.fullmatch(first.strip())
    if not opened or opened[1] not in LAYOUTS:
        raise UserError(f"A grid's prompt begins with: This {LAYOUTS[0]} grid illustrates, what it shows, and a full stop.")
    layout = Layout.read(opened[1])
    labels = {f"[{name.upper()}]": name for name in layout.names}
    before, *pieces = re.split("|".join(f"({re.escape(label)})" for label in labels), bracket + rest)
    found = [piece for piece in pieces if piece in labels]
    if lacking := [name for label, name in labels.items() if label not in found]:
        raise UserError(f"The prompt does not say what is in the cell {lacking[0]}: write [{lacking[0].upper()}] before it.")
    if before.strip() or found != list(labels):
        raise UserError("The cells of a prompt must be named in their order, each once, row by row.")
    return GridPrompt(layout, opened[2] or "", tuple(_clause(said.strip()) for said in _between(pieces, labels)))


def _between(pieces: list[str | None], labels: Collection[str]) -> list[str]:
    """What stands behind each label."""
    return [piece for piece in pieces if piece is not None and piece not in labels]


def _clause(said: str) -> Clause:
    names = {"identity": "", "motion": ""}
    while (tag := TAG.match(said)) and not names[tag[2]]:
        names[tag[2]], said = tag[1], said[tag.end() :]
    return Clause(said, **names)


def clean(text: str, brackets: bool = False) -> str:
    """`text` on one line, with single spaces and without character references, which the models' own cleaning resolves too.

    Args:
        brackets: whether square brackets may be in it.
    Raises UserError for square brackets elsewhere: they name cells and tags.
    """
    while (plain := html.unescape(text)) != text:
        text = plain
    plain = " ".join(text.split())
    if not brackets and ("[" in plain or "]" in plain):
        raise UserError("Square brackets name the cells and tags of a grid: write round ones in your own words.")
    return plain


def slug(name: str) -> str:
    """A name as tags have it: small letters and digits, hyphens between them."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
