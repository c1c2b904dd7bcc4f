"""Which grid adapters exist, and where their files are. No torch here."""

from __future__ import annotations

from pathlib import Path

from pipelines.files import Files
from pipelines.models.adapters import AdapterEntry, find, named

ADAPTERS = (
    AdapterEntry(
        name="playground-grid",
        title="Playground grid",
        description="Comes with the project; fills grids of the playground's toys and people.",
        licence="Same as this project",
        base="playground-wan",
        path="assets/models/playground-grid",
    ),
)


def adapters() -> tuple[AdapterEntry, ...]:
    """All known adapters, whether or not they are on this machine."""
    return ADAPTERS


def known(name: str) -> AdapterEntry | None:
    """The adapter called `name`, or None for a name that is a path."""
    return named(ADAPTERS, name)


def find_adapter(name: str, files: Files) -> Path:
    """The folder or file of an adapter, by its name or as a file of the visitor's. Raises NotAvailable if it is not there."""
    return find(ADAPTERS, name, files)
