"""Pairs of pictures of one subject on disk: Subjects200K, or a folder of pictures for each subject."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple

import numpy as np

from pipelines.errors import UserError
from pipelines.methods.subject_training.listings import json_rows, parquet_rows
from pipelines.methods.subject_training.walk import LeftOut
from pipelines.methods.zero_shot_subject.words import CLS, named
from pipelines.pictures import read_picture

SIDE, PADDING = 512, 8
"""Of each of the two pictures in one of Subjects200K, and of the border around and between them, in pixels."""

SCORES = ("compositeStructure", "objectConsistency", "imageQuality")
LEAST_SCORE = 5
"""Of all three scores; pairs below are left out."""

LARGEST_FILE = 64 * 2**20
"""Bytes of a picture that is read."""

MOST_PICTURES, MOST_SUBJECTS = 200, 1_000_000
LONGEST = 2000
"""Characters of a caption that are read."""


class PairPixels(NamedTuple):
    """reference, target: (H, W, 3) uint8 of any size; prompt: of the target, with CLS before the subject's word."""

    reference: np.ndarray
    target: np.ndarray
    prompt: str


class PairEntry(NamedTuple):
    """A pair, or several to draw from, that has not been opened.

    Attributes:
        read: opens it, given what is drawn from.
    """

    read: Callable[[np.random.Generator], PairPixels]


def pair_listing(folder: Path, left_out: LeftOut) -> Iterator[PairEntry]:
    """The pairs in `folder`, in order: of Subjects200K if it holds a listing, else those of its folders. Raises UserError without one."""
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder.name}: choose one that holds pairs of pictures.")
    listings = sorted(file for ending in ("jsonl", "parquet") for file in folder.rglob(f"*.{ending}") if file.is_file())
    if not listings:
        yield from _subjects(folder, left_out)
    for file in listings:
        yield from _listed(file, folder, left_out) if file.suffix == ".jsonl" else _stored(file, left_out)


# --- Subjects200K --------------------------------------------------------------------------------------------------


def _listed(file: Path, folder: Path, left_out: LeftOut) -> Iterator[PairEntry]:
    """Rows of a list whose "image" names a file within the folder."""
    root = folder.resolve()
    for row in json_rows(file, left_out):
        name = row.get("image")
        if not good(row):
            continue
        if not isinstance(name, str) or not 0 < len(name) < 1000 or "\0" in name:
            left_out.add("a row names no picture", str(name)[:100])
        else:
            yield PairEntry(partial(_side_by_side, partial(_inside, root, name), words_of(row)))


def _stored(file: Path, left_out: LeftOut) -> Iterator[PairEntry]:
    """Rows that hold their picture."""
    for row, cell in parquet_rows(file, ["quality_assessment", "description"]):
        if good(row):
            yield PairEntry(partial(_side_by_side, partial(_embedded, cell), words_of(row)))


def good(row: Mapping[str, Any]) -> bool:
    """Whether all three scores of a row are LEAST_SCORE or more."""
    scores = row.get("quality_assessment")
    values = [scores.get(name) for name in SCORES] if isinstance(scores, Mapping) else [None]
    return all(isinstance(value, int | float) and value >= LEAST_SCORE for value in values)


def words_of(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """What the subject is called, and the descriptions of both pictures; empty where nothing is said."""
    said = row.get("description")
    texts = [said.get(name) for name in ("item", "description_0", "description_1")] if isinstance(said, Mapping) else []
    item, left, right = [text if isinstance(text, str) else "" for text in texts] or [""] * 3
    return item[:LONGEST], left[:LONGEST], right[:LONGEST]


def _side_by_side(read: Callable[[], np.ndarray], words: tuple[str, str, str], draw: np.random.Generator) -> PairPixels:
    """Either of the two pictures as the reference of the other."""
    left, right = halves(read())
    item, *said = words
    if draw.integers(2):
        return PairPixels(left, right, prompted(said[1], item))
    return PairPixels(right, left, prompted(said[0], item))


def halves(pixels: np.ndarray, side: int = SIDE, padding: int = PADDING) -> tuple[np.ndarray, np.ndarray]:
    """Both (side, side, 3) pictures in one of Subjects200K, without what is around and between; raises UserError for another size."""
    second = side + 2 * padding
    if pixels.shape[0] < side + padding or pixels.shape[1] < second + side:
        raise UserError(f"A picture of {pixels.shape[1]} x {pixels.shape[0]} px does not hold two of {side} px side by side.")
    rows = slice(padding, padding + side)
    return pixels[rows, padding : padding + side], pixels[rows, second : second + side]


def prompted(text: str, item: str) -> str:
    """`text` with CLS before the subject: its name, or the last word of it; in front where neither is in it."""
    for word in (item, item.split()[-1] if item.split() else ""):
        if CLS in (said := named(text, word)):
            return said
    return f"a {CLS} {item or 'subject'}{', ' if text else ''}{text}"


def _inside(root: Path, name: str) -> np.ndarray:
    """The picture called `name`, which must lie in `root`."""
    file = (root / name).resolve()
    if not file.is_relative_to(root):
        raise UserError(f"{name[:80]} does not lie in the folder of the list.")
    return _picture(file)


def _picture(file: Path) -> np.ndarray:
    if file.is_file() and file.stat().st_size > LARGEST_FILE:
        raise UserError(f"{file.name[:80]} has more than {LARGEST_FILE // 2**20} MB.")
    return read_picture(file, file.name[:80])


def _embedded(cell: Callable[[str], Any]) -> np.ndarray:
    """A picture from the bytes in a row."""
    held = cell("image")
    data = held.get("bytes") if isinstance(held, Mapping) else held
    if not isinstance(data, bytes) or len(data) > LARGEST_FILE:
        raise UserError("A row holds no picture.")
    with NamedTemporaryFile(suffix=".picture") as file:
        file.write(data)
        file.flush()
        return read_picture(Path(file.name), "a picture in the listing")


# --- a folder for each subject -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Subject:
    """A folder of pictures of one subject; what it is called is the name of the folder, or is in its class.txt."""

    folder: Path

    def __call__(self, draw: np.random.Generator) -> PairPixels:
        """Two of its pictures."""
        files = _pictures_in(self.folder)
        first, second = (files[int(place)] for place in draw.choice(len(files), 2, replace=False))
        item = _text(self.folder / "class.txt") or self.folder.name.replace("_", " ").replace("-", " ")
        return PairPixels(_picture(first), _picture(second), prompted(_text(second.with_suffix(".txt")), item))


def _subjects(folder: Path, left_out: LeftOut) -> Iterator[PairEntry]:
    """The folders in `folder` that hold two pictures or more."""
    for one in sorted(folder.iterdir())[:MOST_SUBJECTS]:
        if one.name.startswith(".") or not one.is_dir():
            continue
        if len(_pictures_in(one)) < 2:
            left_out.add("a folder holds fewer than two pictures", one.name)
            continue
        yield PairEntry(_Subject(one))


def _pictures_in(folder: Path) -> list[Path]:
    inside = folder.resolve()
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.suffix != ".txt" and not file.name.startswith("."))
    return [file for file in files if file.resolve().is_relative_to(inside)][:MOST_PICTURES]


def _text(file: Path) -> str:
    """The words in a file, in one line; empty without one."""
    try:
        with file.open(encoding="utf-8", errors="replace") as words:
            return " ".join(words.read(LONGEST).split())
    except OSError:
        return ""
