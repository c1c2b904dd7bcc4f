"""Adapters that methods know by name: what they are for, and where their files are. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import NotAvailable
from pipelines.files import Files
from pipelines.models.registry import ROOT


@dataclass(frozen=True)
class AdapterEntry:
    """One adapter.

    Attributes:
        name: what a request calls it.
        title, description, licence: for the person who chooses.
        base: the model that it was trained on.
        path: folder relative to the project, for adapters that come with it.
        repo, part: Hugging Face repository, and the folder in it.
    """

    name: str
    title: str
    description: str
    licence: str
    base: str
    path: str = ""
    repo: str = ""
    part: str = ""

    def folder(self) -> Path:
        """Where its files are, or should be."""
        from pipelines.models.store import data_home

        return ROOT / self.path if self.path else data_home() / "models" / self.repo.split("/")[-1] / self.part

    @property
    def here(self) -> bool:
        """Whether its files are on this machine."""
        return any(self.folder().glob("*.safetensors"))


def named(entries: Sequence[AdapterEntry], name: str) -> AdapterEntry | None:
    """The one of `entries` called `name`, or None for a name that is a path."""
    return next((adapter for adapter in entries if adapter.name == name.strip()), None)


def find(entries: Sequence[AdapterEntry], name: str, files: Files) -> Path:
    """The folder or file of an adapter, by its name or as a file of the visitor's. Raises NotAvailable if it is not there."""
    adapter = named(entries, name)
    if adapter and not adapter.here:
        what = f"the folder {adapter.part} of " if adapter.part else ""
        how = f"download {what}{adapter.repo} into" if adapter.repo else "train it, or put its file into"
        raise NotAvailable(f"{adapter.title} is not on this machine: {how} {adapter.folder()}.")
    path = adapter.folder() if adapter else files.find(name)
    if not path.exists():
        names = ", ".join(one.name for one in entries)
        raise NotAvailable(f"There is no adapter {path.name[:80]}: choose {names}, or a file or folder of your own.")
    return path
