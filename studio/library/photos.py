"""Photos that a visitor brings for a face in them: kept upright and small enough, with who is meant and whether that may be used.

photos/<id>/ is a piece of a `Shelf`; what is kept is the picture alone, without what else a camera writes into its file.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.errors import UserError
from pipelines.pictures import read_picture
from studio.library.pictures import safe_stem, save, shrunk
from studio.library.shelf import CARD, Limits, Shelf, shown_name

MOST = 40
"""Photos that a visitor may keep."""

ROOM = 2**30
"""Bytes of all of them."""

MOST_MADE = 8
"""Drawings that are kept of one photo, and lists of the faces in it."""

LONGEST = 2048
"""Pixels of a side of what is kept: enough for a face in a group."""


@dataclass(frozen=True)
class Photo:
    """One photo on disk.

    Attributes:
        id: unguessable name of its folder.
        file: name of the file in it, a PNG.
        name: what it was called by whoever brought it.
        width, height: in pixels.
        face: which face was chosen last, counted from 1; 0: none.
        consent: the visitor has said that this person's likeness may be used.
        example: the file of `assets/examples` that it is a copy of, or "".
    """

    id: str
    file: str
    name: str
    width: int
    height: int
    face: int = 0
    consent: bool = False
    example: str = ""

    @property
    def photo(self) -> str:
        """Its name in requests."""
        return f"photos/{self.id}/{self.file}"

    def to_json(self) -> dict[str, Any]:
        """As the page reads it."""
        return {key: value for key, value in asdict(self).items() if key != "file"} | {"photo": self.photo}


class Photos(Shelf[Photo]):
    """The photos of one visitor in `folder`."""

    kind = Photo
    called = "photos"
    unknown = "This photo is no longer here: add it again."

    def limits(self) -> Limits:
        return Limits(MOST, ROOM, MOST_MADE)

    def add(self, file: Path, name: str, example: str = "") -> Photo:
        """Keep the picture in `file`, called `name`. Raises UserError, and keeps nothing, for what is no picture or too much."""
        shown = shown_name(name, "photo.png")

        def put(folder: Path, photo_id: str) -> Photo:
            pixels = shrunk(read_picture(file, shown), LONGEST)
            kept = folder / f"{safe_stem(name, 'photo')}.png"
            save(pixels, kept)
            height, width = pixels.shape[:2]
            return Photo(photo_id, kept.name, shown, width, height, example=example)

        return self._keep(file.stat().st_size, put)

    def mean(self, photo_id: str, face: int, consent: bool) -> Photo:
        """Remember who in a photo is meant and whether the visitor may use the likeness; its place in the list stays."""
        photo = replace(self.find(photo_id), face=face, consent=consent)
        card = self.folder / photo.id / CARD
        changed, part = card.stat().st_mtime, card.with_suffix(".part")
        part.write_text(json.dumps(asdict(photo)), encoding="utf-8")
        os.utime(part, (changed, changed))
        os.replace(part, card)
        return photo

    def check(self, name: str) -> None:
        """Raise UserError for a photo that a request calls `name` and that is another's. It may be yet to be chosen."""
        if name.strip() and not any(photo.photo == name for photo in self.all()):
            raise UserError("The photo is not among yours; choose another one, or add it again.")
