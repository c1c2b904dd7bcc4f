"""Parts of a result that are clips of their own: shots of a board, kept as soon as they are done so that they outlive a Stop, and
cells of a grid.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.events import Preview
from pipelines.methods.grid.layout import LAYOUTS, Layout
from pipelines.requests import Request
from pipelines.video import write_clip
from studio.inspect import enlarge

FINISHED = ", finished"
CELLS = frozenset(name for layout in LAYOUTS for name in Layout.read(layout).names)
_SHOT = re.compile(r"shot ([1-9][0-9]?)(, alone)?")
FILE = re.compile(r"shot-[1-9][0-9]?(-alone)?\.mp4|cell-(" + "|".join(sorted(name.replace(" ", "-") for name in CELLS)) + r")\.mp4")
MOST, SIDE = 33, 256
"""Frames, and pixels of their longer side, that the record keeps of a finished part; its clip has all."""


def file_of(name: str) -> str | None:
    """What the clip of a preview called "shot 3, finished", "shot 3, alone, finished" or "top left, finished" is called; None for
    any other.
    """
    part = name.removesuffix(FINISHED)
    if part == name:
        return None
    if part in CELLS:
        return f"cell-{part.replace(' ', '-')}.mp4"
    found = _SHOT.fullmatch(part)
    return found and f"shot-{found[1]}{'-alone' if found[2] else ''}.mp4"


def number_of(file: str) -> int | None:
    """The shot, from 0, that a file is the clip of; None for a shot drawn alone, and for a cell."""
    found = re.fullmatch(r"shot-([0-9]+)\.mp4", file)
    return int(found[1]) - 1 if found else None


def words_of(request: Mapping[str, Any], values: Mapping[str, Any], file: str) -> str:
    """What a cell of a finished grid shows: what all cells do, and what is its own; of any other file "".

    Args:
        request, values: of the job, as they are stored.
    """
    own = {file_of(row["cell"] + FINISHED): row.get("text", "") for row in values.get("cells", ())}
    return ", ".join(part for part in (request.get("prompt", ""), own[file]) if part) if file in own else ""


def keep_shot(path: Path, preview: Preview, fps: int, request: Request) -> Preview:
    """Write a finished part; returns it as small as the record needs it."""
    frames = np.asarray(preview.array)
    path.parent.mkdir(exist_ok=True)
    write_clip(path, frames, fps, request)
    return replace(preview, array=small(frames))


def small(frames: np.ndarray) -> np.ndarray:
    """Frames (T, H, W, 3) uint8, at most `MOST` of them, spread evenly, and `SIDE` pixels."""
    kept = frames[np.linspace(0, len(frames) - 1, min(len(frames), MOST)).round().astype(int)]
    return enlarge(kept, SIDE) if max(kept.shape[1:3]) > SIDE else kept
