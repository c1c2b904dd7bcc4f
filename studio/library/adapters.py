"""Adapters that a visitor has trained, or is training.

adapters/<slug>/card.json    what it is called, what draws with it, and the model that it is for
adapters/<slug>/weights/     what the training writes, the checkpoint to go on from among it
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import UserError
from studio.jobs.files import write_atomically
from studio.library.bin import Bin

CARD, WEIGHTS = "card.json", "weights"
MOST = 20
"""Adapters that a visitor may keep."""

_SLUG = re.compile(r"[a-z0-9-]{1,48}")
GONE = "There is no such adapter in your library; it may have been deleted."


@dataclass(frozen=True)
class OwnAdapter:
    """An adapter on disk.

    Attributes:
        slug: name of its folder.
        name: what the visitor calls it.
        method: what draws with it.
        base: the model that it is for.
        created: unix seconds.
    """

    slug: str
    name: str
    method: str
    base: str
    created: float

    @property
    def adapter(self) -> str:
        """What requests call it."""
        return folder_of(self.slug)

    def to_json(self) -> dict[str, Any]:
        """As the page reads it; `adapter` is also the folder that its training asks for."""
        return asdict(self) | {"adapter": self.adapter}


def folder_of(slug: str) -> str:
    """What requests call the folder of the weights."""
    return f"adapters/{slug}/{WEIGHTS}"


class Adapters:
    """The adapters of one visitor in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[OwnAdapter]:
        """Those that have learnt something, the newest first."""
        return [one for one in self._listed() if any((self.folder / one.slug / WEIGHTS).glob("*.safetensors"))]

    def named(self, adapter: str, method: str) -> OwnAdapter | None:
        """The one that a request of `method` calls so, or None."""
        return next((one for one in self.all() if one.adapter == adapter and one.method == method), None)

    def fresh(self, name: str) -> str:
        """What requests call the folder of a new adapter of this name."""
        stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "adapter"
        slug, number = stem, 1
        while (self.folder / slug).exists():
            number += 1
            slug = f"{stem}-{number}"
        return folder_of(slug)

    def begin(self, folder: str, name: str, method: str, base: str) -> None:
        """Take down what will be trained in `folder`, see `fresh`; one that is there stays. Raises UserError for one too many."""
        slug = folder.split("/")[1]
        card = self.folder / slug / CARD
        if card.is_file():
            return
        if len(self._listed()) >= MOST:
            raise UserError(f"You keep {MOST} adapters already: delete one first.")
        card.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(card, json.dumps(asdict(OwnAdapter(slug, name, method, base, time.time()))).encode())

    def file(self, slug: str) -> Path:
        """The weights of an adapter that is one file; raises UserError for any other."""
        files = list((self.folder / slug / WEIGHTS).glob("*.safetensors")) if _SLUG.fullmatch(slug) else []
        if len(files) != 1:
            raise UserError(GONE)
        return files[0]

    def delete(self, slug: str) -> None:
        """Take an adapter out of sight; `undo_delete` brings it back for ten minutes."""
        if not _SLUG.fullmatch(slug) or not (self.folder / slug).is_dir():
            raise UserError(GONE)
        Bin(self.folder).put(slug)

    def undo_delete(self, slug: str) -> None:
        """Bring a deleted adapter back."""
        if not _SLUG.fullmatch(slug):
            raise UserError(GONE)
        Bin(self.folder).back(slug)

    def _listed(self) -> list[OwnAdapter]:
        found = [_read(card) for card in self.folder.glob(f"*/{CARD}") if _SLUG.fullmatch(card.parent.name)]
        return sorted((one for one in found if one), key=lambda one: one.created, reverse=True)


def _read(card: Path) -> OwnAdapter | None:
    try:
        one = OwnAdapter(**json.loads(card.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return one if one.slug == card.parent.name else None
