"""Clips with captions on disk: a folder of files, or WebDataset shards (tar), read member by member. Nothing is unpacked by name."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import BinaryIO, NamedTuple

import numpy as np

from pipelines.errors import UserError
from pipelines.methods.subject_training.walk import LeftOut
from pipelines.video import read_excerpt

KINDS = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".gif")
WORDS = (".txt", ".json")
CAPTIONS = ("caption", "text", "title")
"""Where a JSON file beside a clip says what it shows."""

LARGEST_CLIP, LARGEST_WORDS = 2 * 2**30, 100_000
"""Bytes of a clip and of what is said about it that are read."""

HEADERS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
LARGEST_HEADER = 2**20
"""Bytes of what a shard says of its next member, which is read into memory, and kinds of members that say it."""

LONGEST = 2000
DEEPEST = 8
"""Folders in folders that are looked into."""


class Size(NamedTuple):
    """Of clips: frames, height and width in pixels, frames per second."""

    frames: int
    height: int
    width: int
    fps: int


class ClipEntry(NamedTuple):
    """A clip that has not been opened.

    Attributes:
        read: opens it: frames (T, H, W, 3) uint8 of its beginning.
        caption: what it shows.
    """

    read: Callable[[Size], np.ndarray]
    caption: str


def clip_listing(folder: Path, left_out: LeftOut) -> Iterator[ClipEntry]:
    """The clips in `folder`, in order: in its files and those of its folders, and in its shards. Raises UserError without a folder."""
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder.name}: choose one that holds clips with captions.")
    yield from _within(folder, folder.resolve(), left_out, DEEPEST)


def _within(folder: Path, root: Path, left_out: LeftOut, depth: int) -> Iterator[ClipEntry]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if not path.resolve().is_relative_to(root):
            left_out.add("it lies outside of the folder", path.name)
        elif path.is_dir() and depth:
            yield from _within(path, root, left_out, depth - 1)
        elif path.suffix.lower() == ".tar":
            yield from _shard(path, left_out)
        elif path.suffix.lower() in KINDS:
            yield from _file(path, left_out)


def _file(path: Path, left_out: LeftOut) -> Iterator[ClipEntry]:
    words = [path.with_suffix(ending) for ending in WORDS if path.with_suffix(ending).is_file()]
    if not words:
        left_out.add("a clip has no caption", path.name)
    elif path.stat().st_size > LARGEST_CLIP:
        left_out.add(f"a clip has more than {LARGEST_CLIP // 2**30} GB", path.name)
    else:
        with words[0].open("rb") as file:
            caption = said(file.read(LARGEST_WORDS), words[0].suffix)
        yield ClipEntry(partial(_read, path), caption)


def _shard(path: Path, left_out: LeftOut) -> Iterator[ClipEntry]:
    """Neighbouring members of one name, a clip and its words, are an example."""
    try:
        with tarfile.open(path, "r:", tarinfo=_Member) as shard:
            clip: tarfile.TarInfo | None = None
            words: tuple[str, str] | None = None
            for member in _members(shard, path, left_out):
                stem, ending = _split(member.name)
                if clip and _split(clip.name)[0] != stem:
                    clip = _without_words(clip, left_out)
                if words and words[0] != stem:
                    words = None
                if ending in KINDS:
                    clip = member
                else:
                    words = stem, said(shard.extractfile(member).read(), ending)
                if clip and words:
                    yield ClipEntry(partial(_read_member, path, clip.offset_data, clip.size), words[1])
                    clip = words = None
            _without_words(clip, left_out)
    except (tarfile.TarError, OSError, EOFError):
        left_out.add("a shard is damaged", path.name)


class _Member(tarfile.TarInfo):
    """A member whose header is as long as headers are: one that says it has gigabytes would be read into memory."""

    def _proc_member(self, shard: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in HEADERS and self.size > LARGEST_HEADER:
            raise tarfile.ReadError("a header is too large")
        return super()._proc_member(shard)


def _without_words(clip: tarfile.TarInfo | None, left_out: LeftOut) -> None:
    if clip:
        left_out.add("a clip has no caption", clip.name)


def _members(shard: tarfile.TarFile, path: Path, left_out: LeftOut) -> Iterator[tarfile.TarInfo]:
    """Plain files of sizes that can be, within what the shard really holds; others are counted. Names are never used as paths."""
    real = path.stat().st_size
    while member := shard.next():
        shard.members = []  # it would remember all of them
        ending = _split(member.name)[1]
        if ending not in (*KINDS, *WORDS):
            continue
        most = LARGEST_CLIP if ending in KINDS else LARGEST_WORDS
        if not member.isreg() or member.issparse():
            left_out.add("a member of a shard is no plain file", member.name)
        elif PurePosixPath(member.name).is_absolute() or ".." in PurePosixPath(member.name).parts:
            left_out.add("a member's name leads out of the shard", member.name)
        elif not 0 < member.size <= most or member.offset_data + member.size > real:
            left_out.add("a member of a shard has a size that cannot be", member.name)
        else:
            yield member


def _split(name: str) -> tuple[str, str]:
    """Name up to the first dot of its last part, as WebDataset has it, and the ending in small letters."""
    folder, _, last = name.rpartition("/")
    stem, _, ending = last.partition(".")
    return f"{folder}/{stem}", f".{ending.lower()}"


def said(data: bytes, ending: str) -> str:
    """The caption in a text or JSON file; empty for one that says nothing."""
    text = data.decode("utf-8", "replace")
    if ending == ".json":
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        known = [values[name] for name in CAPTIONS if isinstance(values, dict) and isinstance(values.get(name), str)]
        text = known[0] if known else ""
    return " ".join(text.split())[:LONGEST]


def _read(path: Path, size: Size) -> np.ndarray:
    return read_excerpt(path, fps=size.fps, frames=size.frames, height=size.height, width=size.width)


def _read_member(path: Path, offset: int, length: int, size: Size) -> np.ndarray:
    """From a copy under a name of our own: readers of clips want a file."""
    with NamedTemporaryFile(suffix=".clip") as copy, path.open("rb") as shard:
        shard.seek(offset)
        shutil.copyfileobj(_Part(shard, length), copy)
        copy.flush()
        return _read(Path(copy.name), size)


class _Part:
    """The next `left` bytes of a file."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self.file, self.left = file, left

    def read(self, count: int) -> bytes:
        """At most `count` bytes."""
        data = self.file.read(min(count, self.left))
        self.left -= len(data)
        return data
