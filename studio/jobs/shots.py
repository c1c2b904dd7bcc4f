"""Shots of a board: each becomes a clip of its own as soon as it is done, so that it outlives a Stop."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.events import Preview
from pipelines.requests import Request
from pipelines.video import write_clip
from studio.inspect import enlarge

_NAME = re.compile(r"shot ([1-9][0-9]?)(, alone)?, finished")
FILE = re.compile(r"shot-[1-9][0-9]?(-alone)?\.mp4")
MOST, SIDE = 33, 256
"""Frames, and pixels of their longer side, that the record keeps of a finished shot; its clip has all."""


def file_of(name: str) -> str | None:
    """What the clip of a preview called "shot 3, finished" or "shot 3, alone, finished" is called; None for any other."""
    found = _NAME.fullmatch(name)
    return found and f"shot-{found[1]}{'-alone' if found[2] else ''}.mp4"


def number_of(file: str) -> int | None:
    """The shot, from 0, that a file is the clip of; None for a shot drawn alone."""
    return None if "alone" in file else int(file.removeprefix("shot-").removesuffix(".mp4")) - 1


def keep_shot(path: Path, preview: Preview, fps: int, request: Request) -> Preview:
    """Write a finished shot; returns it as small as the record needs it."""
    frames = np.asarray(preview.array)
    path.parent.mkdir(exist_ok=True)
    write_clip(path, frames, fps, request)
    return replace(preview, array=small(frames))


def small(frames: np.ndarray) -> np.ndarray:
    """Frames (T, H, W, 3) uint8, at most `MOST` of them, spread evenly, and `SIDE` pixels."""
    kept = frames[np.linspace(0, len(frames) - 1, min(len(frames), MOST)).round().astype(int)]
    return enlarge(kept, SIDE) if max(kept.shape[1:3]) > SIDE else kept
