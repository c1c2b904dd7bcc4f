"""Which grid adapters exist, and where their files are. No torch here."""

from __future__ import annotations

from pathlib import Path

from pipelines.errors import NotAvailable
from pipelines.files import Files
from pipelines.methods.face_identity.adapters import AdapterEntry

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
    return next((adapter for adapter in ADAPTERS if adapter.name == name.strip()), None)


def find_adapter(name: str, files: Files) -> Path:
    """The folder or file of an adapter, by its name or as a file of the visitor's. Raises NotAvailable if it is not there."""
    adapter = known(name)
    if adapter and not adapter.here:
        raise NotAvailable(f"The adapter {adapter.title} is not on this machine: train it, or put its file into {adapter.folder()}.")
    path = adapter.folder() if adapter else files.find(name)
    if not path.exists():
        names = ", ".join(one.name for one in ADAPTERS)
        raise NotAvailable(f"There is no adapter {path.name[:80]}: choose {names}, or a file or folder of your own.")
    return path
