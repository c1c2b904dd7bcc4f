"""What a visitor keeps piece by piece, each in a folder of its own: looked at through small drawings, deleted with a way back.

<id>/<name>      the piece itself
<id>/card.json   what is known of it
<id>/made/       drawings of it, made when the page asks for them; those not looked at for longest make room
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pipelines.errors import UserError
from studio.library.bin import Bin

CARD, MADE = "card.json", "made"
FRESH_SECONDS = 3600.0
_ID = re.compile(r"[A-Za-z0-9_-]{11}")  # secrets.token_urlsafe(8)


class Piece(Protocol):
    """What a card says; a frozen dataclass.

    Attributes:
        id: unguessable name of its folder.
        file: name of the file in it.
    """

    @property
    def id(self) -> str: ...
    @property
    def file(self) -> str: ...


P = TypeVar("P", bound=Piece)


@dataclass(frozen=True)
class Limits:
    """How much a visitor may keep.

    Attributes:
        most: pieces.
        room: bytes of all of them; what was deleted makes room before its time.
        made: drawings of one piece.
    """

    most: int
    room: int
    made: int


class Shelf(Generic[P]):
    """The pieces of one visitor in `folder`.

    Attributes:
        kind: what their cards are read as.
        called: what people call them.
        unknown: the sentence for one that is not there.
    """

    kind: ClassVar[type]
    called: ClassVar[str]
    unknown: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def limits(self) -> Limits:
        """How much may be kept."""
        raise NotImplementedError

    def all(self) -> list[P]:
        """Every piece, the newest first; one that cannot be read is left out."""
        cards = [card for card in self.folder.glob(f"*/{CARD}") if _ID.fullmatch(card.parent.name)]
        found = [self._read(card) for card in sorted(cards, key=lambda card: card.stat().st_mtime, reverse=True)]
        return [piece for piece in found if piece]

    def find(self, piece_id: str) -> P:
        """The piece of that id; raises UserError if there is none."""
        piece = self._read(self.folder / piece_id / CARD) if _ID.fullmatch(piece_id) else None
        if piece is None:
            raise UserError(self.unknown)
        return piece

    def path(self, piece: P) -> Path:
        """Where the piece itself is."""
        return self.folder / piece.id / piece.file

    def delete(self, piece_id: str) -> None:
        """Take a piece out of sight; `undo_delete` brings it back for ten minutes."""
        self.find(piece_id)
        Bin(self.folder).put(piece_id)

    def undo_delete(self, piece_id: str) -> None:
        """Bring a deleted piece back."""
        if not _ID.fullmatch(piece_id):
            raise UserError(self.unknown)
        if len(self.all()) >= self.limits().most:
            raise UserError(self._too_many())
        Bin(self.folder).back(piece_id)

    def made(self, piece: P, name: str, make: Callable[[Path, Path], None]) -> Path:
        """The drawing called `name` of a piece; `make(the piece's file, where to write)` is called if there is none yet."""
        target = self.folder / piece.id / MADE / name
        part = target.with_name(f".{secrets.token_hex(4)}-{name}")
        try:
            if target.is_file():
                os.utime(target)  # looked at just now
                return target
            target.parent.mkdir(exist_ok=True)
            make(self.path(piece), part)
            os.replace(part, target)
            _forget_oldest(target.parent, self.limits().made)
        except FileNotFoundError as error:  # deleted meanwhile
            raise UserError(self.unknown) from error
        finally:
            part.unlink(missing_ok=True)
        return target

    def _keep(self, size: int, put: Callable[[Path, str], P]) -> P:
        """Keep one more piece of about `size` bytes: `put(folder, id)` writes it there and says what the card says.

        Raises UserError, and keeps nothing, if that is too much, or what `put` raises.
        """
        self._make_room(size)
        piece_id = secrets.token_urlsafe(8)
        fresh = self.folder / f".new-{piece_id}"
        fresh.mkdir(parents=True)
        try:
            piece = put(fresh, piece_id)
            (fresh / CARD).write_text(json.dumps(asdict(piece)), encoding="utf-8")
            os.replace(fresh, self.folder / piece_id)
            return piece
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _make_room(self, more: int) -> None:
        """Raise UserError if `more` bytes, or one more piece, are too much."""
        pieces, limits = self.all(), self.limits()
        if len(pieces) >= limits.most:
            raise UserError(self._too_many())
        if more + sum(self.path(piece).stat().st_size for piece in pieces) > limits.room:
            raise UserError(f"Your {self.called} take up {limits.room // 2**30} GB already: delete one first.")
        deleted = Bin(self.folder)
        deleted.purge()
        gone = sorted(deleted.folder.iterdir(), key=lambda path: path.stat().st_mtime) if deleted.folder.is_dir() else []
        while gone and len(pieces) + len(gone) >= limits.most:
            shutil.rmtree(gone.pop(0), ignore_errors=True)
        for left in self.folder.glob(".new-*"):  # by a studio that ended meanwhile
            if left.stat().st_mtime < time.time() - FRESH_SECONDS:
                shutil.rmtree(left, ignore_errors=True)

    def _too_many(self) -> str:
        return f"You keep {self.limits().most} {self.called} already: delete one first."

    def _read(self, card: Path) -> P | None:
        try:
            values: dict[str, Any] = json.loads(card.read_text(encoding="utf-8"))
            piece: P = self.kind(**values)
        except (OSError, ValueError, TypeError):
            return None
        return piece if piece.id == card.parent.name and (card.parent / piece.file).is_file() else None


def shown_name(name: str, otherwise: str) -> str:
    """What a file was called by whoever brought it, as one line that a page can show."""
    return " ".join(name.replace("\\", "/").rsplit("/", 1)[-1].split())[:120] or otherwise


def _forget_oldest(folder: Path, most: int) -> None:
    files = sorted((file for file in folder.iterdir() if not file.name.startswith(".")), key=lambda file: file.stat().st_mtime)
    for file in files[: max(0, len(files) - most)]:
        file.unlink(missing_ok=True)
