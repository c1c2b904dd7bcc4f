"""Which face adapters exist, what they are for, and where their files are. No torch here."""

from __future__ import annotations

from pathlib import Path

from pipelines.files import Files
from pipelines.models.adapters import AdapterEntry, find, named

ADAPTERS = (
    AdapterEntry(
        name="playground-lynx",
        title="Playground Lynx",
        description="Comes with the project; knows the drawn people of the playground only.",
        licence="Same as this project",
        base="playground-wan",
        path="assets/models/playground-lynx",
    ),
    AdapterEntry(
        name="lynx-full",
        title="Lynx, full",
        description="ID-adapter and Ref-adapter as released: closest to the face.",
        licence="Apache-2.0",
        base="wan2.1-14b",
        repo="ByteDance/lynx",
        part="lynx_full",
    ),
    AdapterEntry(
        name="lynx-lite",
        title="Lynx, lite",
        description="ID-adapter alone, in every other block, as released: less memory, more freedom.",
        licence="Apache-2.0",
        base="wan2.1-14b",
        repo="ByteDance/lynx",
        part="lynx_lite",
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
