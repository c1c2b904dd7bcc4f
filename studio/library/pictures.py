"""Pictures that a visitor uploads to learn a subject from: checked, kept small, turned and cut on request.

pictures/<id>/source.png     as it was sent, upright, at most LONGEST pixels a side
pictures/<id>/<name>.png     what will be learnt from: the source turned and cut
"""

from __future__ import annotations

import io
import math
import os
import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipelines.errors import UserError
from pipelines.methods.subject_adaptation.pictures import SMALLEST_SIDE, read_picture, same
from pipelines.pictures import read_picture as read_pixels

LONGEST = 1536
"""Pixels of a side of what is kept: models see less."""

MOST_KEPT = 60
"""Uploads of a visitor; the oldest make room."""

SOURCE = "source.png"
_ID = re.compile(r"[A-Za-z0-9_-]{11}")  # secrets.token_urlsafe(8)
UNKNOWN = "This picture is no longer here: add it again."


@dataclass(frozen=True)
class Upload:
    """One picture on disk.

    Attributes:
        id: unguessable name of its folder.
        file: what will be learnt from.
    """

    id: str
    file: Path

    def to_json(self) -> dict[str, Any]:
        """As the page reads it; `image` is its name in requests."""
        with Image.open(self.file) as image:
            width, height = image.size
        version = self.file.stat().st_mtime_ns
        name = f"pictures/{self.id}/{self.file.name}"
        return {"id": self.id, "image": name, "name": self.file.name, "width": width, "height": height, "version": version}


class Pictures:
    """The uploads of one visitor in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, file: Path, name: str, others: Sequence[str] = ()) -> dict[str, Any]:
        """Keep the picture in `file`, called `name`; `others` are ids that it is compared with.

        Raises UserError naming what is wrong with it: unreadable, too large, too small, or the same as another.
        """
        stem = safe_stem(name)
        picture = read_picture(file, name=stem + Path(name).suffix[:6])
        if picture.pixels is None:
            raise UserError(picture.problem)
        for other in others:
            twin = self.find(other)
            if same(picture, read_picture(twin.file)):
                raise UserError(f"{picture.name} shows the same as {twin.file.name} and is left out.")
        self._make_room()
        folder = self.folder / secrets.token_urlsafe(8)
        folder.mkdir(parents=True)
        save(shrunk(picture.pixels), folder / SOURCE)
        shutil.copyfile(folder / SOURCE, folder / f"{stem}.png")
        return self.find(folder.name).to_json()

    def find(self, picture_id: str) -> Upload:
        """The picture of that id; raises UserError if there is none."""
        files = sorted((self.folder / picture_id).glob("*.png")) if _ID.fullmatch(picture_id) else []
        shown = [file for file in files if file.name != SOURCE]
        if not shown:
            raise UserError(UNKNOWN)
        return Upload(picture_id, shown[0])

    def edit(self, picture_id: str, turns: int, box: Sequence[float] | None) -> dict[str, Any]:
        """Turn the source by quarter `turns` clockwise, then cut it to `box`: left, top, right, bottom as shares 0..1 of what is seen.

        Raises UserError for a box that leaves too little.
        """
        upload = self.find(picture_id)
        source = read_picture(upload.file.with_name(SOURCE)).pixels
        if source is None:
            raise UserError(UNKNOWN)
        save(cut(np.rot90(source, -turns % 4), box), upload.file)
        return upload.to_json()

    def remove(self, picture_id: str) -> None:
        """Delete a picture; nothing happens if it is gone."""
        if _ID.fullmatch(picture_id):
            shutil.rmtree(self.folder / picture_id, ignore_errors=True)

    def _make_room(self) -> None:
        folders = [path for path in self.folder.iterdir() if path.is_dir()] if self.folder.is_dir() else []
        folders.sort(key=lambda path: path.stat().st_mtime)
        for path in folders[: max(0, len(folders) - MOST_KEPT + 1)]:
            shutil.rmtree(path, ignore_errors=True)


def safe_stem(name: str, otherwise: str = "picture") -> str:
    """A file name's stem with nothing in it that a file system or a page could trip over; `otherwise` if nothing is left."""
    stem = re.sub(r"[^\w .-]+", "", Path(name.replace("\\", "/")).stem).strip(" .")[:40]
    return stem if stem and stem.lower() != "source" else otherwise


def shrunk(pixels: np.ndarray, longest: int = LONGEST) -> np.ndarray:
    """(H, W, 3) uint8 with no side above `longest`."""
    image = Image.fromarray(pixels)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return np.asarray(image)


def cut(pixels: np.ndarray, box: Sequence[float] | None) -> np.ndarray:
    """The part of (H, W, 3) inside `box` (see `Pictures.edit`); raises UserError if a side is below SMALLEST_SIDE."""
    if box is None:
        return pixels
    if len(box) != 4 or not all(math.isfinite(share) for share in box):
        raise UserError("The cut of this picture cannot be read: cut it again.")
    height, width = pixels.shape[:2]
    left, top, right, bottom = (min(max(float(share), 0.0), 1.0) for share in box)
    part = pixels[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
    if min(part.shape[:2]) < SMALLEST_SIDE:
        raise UserError(f"The cut leaves less than {SMALLEST_SIDE} px a side: choose a larger part.")
    return part


def save(pixels: np.ndarray, file: Path) -> None:
    """Write (H, W, 3) uint8 as PNG, whole or not at all."""
    partial = file.with_suffix(".tmp")
    Image.fromarray(np.ascontiguousarray(pixels)).save(partial, "PNG", compress_level=1)
    os.replace(partial, file)


def thumbnail(file: Path, side: int) -> bytes:
    """The picture in `file` as WebP, its longer side at most `side` pixels; raises UserError if it cannot be read."""
    try:
        image = Image.fromarray(read_pixels(file))
    except UserError as error:
        raise UserError(UNKNOWN) from error
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=88, method=0)
    return buffer.getvalue()
