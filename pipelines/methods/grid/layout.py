"""Where the cells of a grid are: in pixels, latents and tokens, so that nothing of one cell lies in another. No torch here.

A grid is one clip whose frames are tiled (Grid composition, section 3.2; other layouts than 2 x 2 are the paper's own suggestion).
Cell borders must lie on the lattice of the model's tokens: a token that two cells share would mix them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.errors import UserError

PLACES = {1: ("",), 2: ("left", "right"), 3: ("left", "middle", "right")}
LINES = {1: ("",), 2: ("top", "bottom")}
LAYOUTS = ("2x2", "1x3", "2x3")
"""Rows x columns; 1x3 is for clips that are taller than wide."""

FEWEST = 4
"""Tokens of a side that a cell has at least: in fewer there is nothing to recognise."""


@dataclass(frozen=True)
class Layout:
    """Rows and columns of a grid; cells are counted row by row."""

    rows: int
    columns: int

    @staticmethod
    def read(name: str) -> Layout:
        """The layout called "2x2"; raises UserError for one that is not known."""
        if name not in LAYOUTS:
            raise UserError(f"There is no layout {name[:20]!r}: choose one of {', '.join(LAYOUTS)}.")
        rows, columns = name.split("x")
        return Layout(int(rows), int(columns))

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}"

    @property
    def count(self) -> int:
        """Number of cells."""
        return self.rows * self.columns

    @property
    def names(self) -> tuple[str, ...]:
        """What each cell is called: "top left"."""
        return tuple(f"{line} {place}".strip() for line in LINES[self.rows] for place in PLACES[self.columns])

    def windows(self, height: int, width: int) -> list[tuple[slice, slice]]:
        """Rows and columns of each cell in a picture, a latent frame or a token grid of this size; ValueError where borders cut one."""
        if height % self.rows or width % self.columns:
            raise ValueError(f"{height} x {width} cannot be divided into {self}")
        down, across = height // self.rows, width // self.columns
        corners = [(row * down, column * across) for row in range(self.rows) for column in range(self.columns)]
        return [(slice(top, top + down), slice(left, left + across)) for top, left in corners]

    def cut(self, whole: Any, down: int = -2) -> list[Any]:
        """The cells of an array or tensor, as views.

        Args:
            down: negative axis of the rows, columns follow: -2 of latents (B, C, T', H', W'), -3 of frames (T, H, W, 3).
        """
        rest = (slice(None),) * (-down - 2)
        return [whole[(..., *window, *rest)] for window in self.windows(*whole.shape[down:][:2])]

    def put(self, whole: Any, cells: Sequence[Any], down: int = -2) -> Any:
        """Write `cells` into `whole`, the inverse of `cut`; returns it."""
        for place, cell in zip(self.cut(whole, down), cells, strict=True):
            place[...] = cell
        return whole

    def tokens(self, frames: int, height: int, width: int) -> list[np.ndarray]:
        """Numbers of the tokens of each cell among the video tokens of a grid of T' x h x w, rising."""
        numbers = np.arange(frames * height * width).reshape(frames, height, width)
        return [cell.ravel().copy() for cell in self.cut(numbers)]


def tiled(layout: Layout, clips: Sequence[np.ndarray]) -> np.ndarray:
    """(T, H, W, 3) uint8 of cells (T, h, w, 3)."""
    frames, height, width, colours = clips[0].shape
    whole = np.empty((frames, height * layout.rows, width * layout.columns, colours), clips[0].dtype)
    return layout.put(whole, clips, -3)


def snap_cell(pixels: int, parts: int, lattice: int, smallest: int, largest: int) -> int:
    """Pixels of a cell's side, on the lattice, for a grid of `pixels` in `parts` cells; a tie goes up.

    Args:
        lattice: pixels of a side that one token covers (8x VAE and 2x2 patch: 16).
        smallest, largest: side of a whole grid that the model can draw.
    """
    lowest = max(FEWEST, -(-smallest // (lattice * parts)))
    highest = max(FEWEST, largest // (lattice * parts))
    return lattice * min(max((2 * pixels + lattice * parts) // (2 * lattice * parts), lowest), highest)
