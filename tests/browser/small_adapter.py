"""An adapter that a test has written, among those that a method knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.models.adapters import AdapterEntry

MODEL = "playground-wan"


@dataclass(frozen=True)
class Small(AdapterEntry):
    """Lies where it was written."""

    place: Path = Path()

    def folder(self) -> Path:
        return self.place


def small(name: str, place: Path) -> Small:
    """The adapter in the folder `place`, made for MODEL."""
    return Small(name, "Small", "Not trained: for a look at the page.", "Same as this project", MODEL, place=place)
