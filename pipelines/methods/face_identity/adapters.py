"""Which face adapters exist, what they are for, and where their files are. No torch here."""

from __future__ import annotations

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
    return next((adapter for adapter in ADAPTERS if adapter.name == name.strip()), None)


def find_adapter(name: str, files: Files) -> Path:
    """The folder or file of an adapter, by its name or as a file of the visitor's. Raises NotAvailable if it is not there."""
    adapter = known(name)
    if adapter is None:
        path = files.find(name)
        if not path.exists():
            raise NotAvailable(f"There is no adapter {path.name}: choose {', '.join(one.name for one in ADAPTERS)}, or a folder with one.")
        return path
    if not adapter.here:
        how = f"download the folder {adapter.part} of {adapter.repo} into" if adapter.repo else "train it with train-face, or put it into"
        raise NotAvailable(f"The adapter {adapter.title} is not on this machine: {how} {adapter.folder()}.")
    return adapter.folder()
