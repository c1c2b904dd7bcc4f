"""Which adapters of the method exist, and where their files are. No torch here."""

from __future__ import annotations

from pathlib import Path

from pipelines.files import Files
from pipelines.models.adapters import AdapterEntry, find, named

ADAPTERS = (
    AdapterEntry(
        name="playground-subjects",
        title="Playground subjects",
        description="Comes with the project; knows the toys of the playground only.",
        licence="Same as this project",
        base="playground-cogvideox",
        path="assets/models/playground-subjects",
    ),
    AdapterEntry(
        name="playground-subjects-image-only",
        title="Playground subjects, from pictures alone",
        description="For comparison: trained without clips, which freezes the motion.",
        licence="Same as this project",
        base="playground-cogvideox",
        path="assets/models/playground-subjects-image-only",
    ),
    AdapterEntry(
        name="disentangled-subject",
        title="Disentangled subject",
        description="As released by the authors of the paper, an early version; not on a hub: put its safetensors file into the folder.",
        licence="Not stated",
        base="cogvideox-5b",
        part="disentangled-subject",
    ),
)


def adapters() -> tuple[AdapterEntry, ...]:
    """All known adapters, whether or not they are on this machine."""
    return ADAPTERS


def known(name: str) -> AdapterEntry | None:
    """The adapter called `name`, or None for a name that is a path."""
    return named(ADAPTERS, name)


def made_for(model: str) -> tuple[AdapterEntry, ...]:
    """The adapters for the model of this name that are on this machine."""
    return tuple(adapter for adapter in ADAPTERS if adapter.base == model and adapter.here)


def find_adapter(name: str, files: Files) -> Path:
    """The folder or file of an adapter, by its name or as a file of the visitor's. Raises NotAvailable if it is not there."""
    return find(ADAPTERS, name, files)
