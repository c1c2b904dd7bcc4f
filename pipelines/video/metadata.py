"""The request inside a file, read without decoding a picture: boxes of an mp4, chunks of a png, the comment of a gif."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from pipelines.errors import NotAvailable, UserError
from pipelines.requests import Request

if TYPE_CHECKING:
    from PIL import Image

Kind = Literal["mp4", "webm", "avi", "gif", "png", "json"]
MAX_COMMENT = 2**20  # bytes; the longest request is a fraction of it
MAX_PIXELS = 2**26  # below the size at which Pillow warns
MAX_PIECES = 20_000  # boxes or chunks looked at
QUICKTIME = (b"ftyp", b"moov", b"mdat", b"wide")  # names of the first box; old cameras leave out the one that tells the type
COMMENT_PATH = (b"moov", b"udta", b"meta", b"ilst", b"\xa9cmt", b"data")


class Damaged(Exception):
    """The file ends before it says it does, or contradicts itself."""


def read_request(path: str | Path) -> Request:
    """The request that a clip (mp4, gif, png) was made with, or that a JSON file holds.

    Raises UserError in one sentence for anything else. Reads a few kilobytes, whatever the file claims to be.
    """
    path = Path(path)
    kind = kind_of(path)
    readers = {"mp4": _mp4_comment, "gif": _gif_comment, "png": _png_comment, "json": _whole_text}
    reader = readers.get(kind)
    if reader is None:
        raise UserError(f"{path.name} is not a clip that was made here: choose an mp4, gif or png of your own, or a JSON request.")
    try:
        check_whole(path, kind)
        with path.open("rb") as file:
            text = reader(file)
    except UserError:
        raise
    except (Damaged, OSError, struct.error, ValueError, SyntaxError) as error:
        raise damaged(path) from error
    return Request.from_json(text)


def prompt_of(path: Path) -> str:
    """The prompt that a clip was made with; "" for one that was not made here."""
    try:
        return str(getattr(read_request(path), "prompt", ""))
    except UserError:
        return ""


def kind_of(path: Path) -> Kind | None:
    """What the file is by its first bytes; None for anything else. Raises NotAvailable when there is no file."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except (OSError, ValueError) as error:
        raise NotAvailable(f"There is no file to read at {str(path)[:200]}: check the name.") from error
    if start[4:8] in QUICKTIME:
        return "mp4"
    if start.startswith(b"RIFF") and start[8:12] == b"AVI ":
        return "avi"
    marks: dict[bytes, Kind] = {b"\x1a\x45\xdf\xa3": "webm", b"GIF8": "gif", b"\x89PNG\r\n\x1a\n": "png"}
    found = next((kind for mark, kind in marks.items() if start.startswith(mark)), None)
    return found or ("json" if start.lstrip().startswith(b"{") else None)


def damaged(path: Path) -> UserError:
    return UserError(f"{path.name} is damaged or cut off: get the file again.")


def check_whole(path: Path, kind: str) -> None:
    """Raise Damaged if the file has been cut off."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if kind == "mp4":
            names = [name for name, _, _ in _boxes(file, 0, size)]
            if b"moov" not in names:
                raise Damaged
        elif kind in ("gif", "png"):
            file.seek(max(0, size - 64))
            if not file.read().rstrip(b"\0").endswith({"gif": b";", "png": b"IEND\xaeB`\x82"}[kind]):
                raise Damaged


def is_whole(path: Path, kind: str) -> bool:
    """False if the file ends before it says it does, as far as its kind says so."""
    try:
        check_whole(path, kind)
        with path.open("rb") as file:
            return _declared_end(file, kind) <= file.seek(0, os.SEEK_END)
    except (Damaged, OSError, IndexError, struct.error):
        return False


def _declared_end(file: BinaryIO, kind: str) -> int:
    """Where the first chunk of an avi, or the segment of a webm, says that it ends; 0 where nothing is said."""
    if kind == "avi":
        return struct.unpack("<4sI", file.read(8))[1] + 8
    if kind != "webm":
        return 0
    file.seek(4)
    _, header = _ebml_length(file)
    file.seek(header or 0, os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":  # something lies in front of the segment
        return 0
    at, length = _ebml_length(file)
    return at + length if length is not None else 0


def _ebml_length(file: BinaryIO) -> tuple[int, int | None]:
    """Where the content of an element begins and how long it is; None for a live recording's (RFC 8794, section 6)."""
    first = file.read(1)[0]
    more = 8 - first.bit_length()
    if more > 7:
        raise Damaged
    length = int.from_bytes(bytes([first & (0x7F >> more)]) + file.read(more), "big")
    return file.tell(), None if length == 2 ** (7 * (more + 1)) - 1 else length


def picture_size(path: Path, kind: str) -> tuple[int, int]:
    """Width and height that the header of a gif or png declares."""
    with path.open("rb") as file:
        start = file.read(24)
    return struct.unpack_from("<HH", start, 6) if kind == "gif" else struct.unpack_from(">II", start, 16)


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of the content of each box between two offsets (ISO/IEC 14496-12, section 4.2)."""
    for _ in range(MAX_PIECES):
        if start >= end:
            return
        file.seek(start)
        head = file.read(16)
        size, name = struct.unpack(">I4s", head[:8])
        content = start + 8
        if size == 1:
            size, content = struct.unpack(">Q", head[8:16])[0], start + 16
        size = size or end - start  # 0: until the end
        if start + size > end or start + size < content:
            raise Damaged
        yield name, content, start + size
        start += size
    raise Damaged


def _mp4_comment(file: BinaryIO) -> str:
    """The comment tag as ffmpeg and iTunes write it."""
    start, end = 0, file.seek(0, os.SEEK_END)
    for wanted in COMMENT_PATH:
        found = next(((a, b) for name, a, b in _boxes(file, start, end) if name == wanted), None)
        if found is None:
            return ""
        start, end = found
        start += 4 if wanted == b"meta" else 0  # version and flags
    return _text(file, start + 8, end - start - 8)  # type and locale come first


def _png_comment(file: BinaryIO) -> str:
    """The text chunk called "comment" (PNG specification, section 11.3.4.3); pictures are skipped unread."""
    at, end = 8, file.seek(0, os.SEEK_END)
    for _ in range(MAX_PIECES):
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        if at + 12 + length > end:
            raise Damaged
        if name == b"tEXt" and file.read(8) == b"comment\0":
            return _text(file, at + 16, length - 8)
        if name == b"IEND":
            return ""
        at += 12 + length
    raise Damaged


def _gif_comment(file: BinaryIO) -> str:
    """The comment extension in front of the first picture."""
    if os.fstat(file.fileno()).st_size > 2**28:
        raise UserError("This gif is too large to look for settings in it: choose a smaller file.")
    width, height = picture_size(Path(file.name), "gif")
    if width * height > MAX_PIXELS:
        raise Damaged
    with opened(file) as picture:
        comment = picture.info.get("comment", b"")
    if len(comment) > MAX_COMMENT:
        raise _too_long()
    return comment.decode("utf-8")


@contextmanager
def opened(file: BinaryIO | Path) -> Iterator[Image.Image]:
    """A gif or png opened by Pillow; a frame of a size beyond reason is Damaged too."""
    from PIL import Image

    try:
        with Image.open(file, formats=["GIF", "PNG"]) as picture:
            yield picture
    except Image.DecompressionBombError as error:
        raise Damaged from error


def _whole_text(file: BinaryIO) -> str:
    return _text(file, 0, os.fstat(file.fileno()).st_size)


def _text(file: BinaryIO, start: int, length: int) -> str:
    if length > MAX_COMMENT:
        raise _too_long()
    file.seek(start)
    return file.read(max(0, length)).decode("utf-8")


def _too_long() -> UserError:
    return UserError("The settings in this file are far too long to be ours, so they are not read: choose another file.")
