"""Grids to be learnt from: cells of one concept put together, and what of each grid is visible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pipelines.events import Progress
from pipelines.methods.grid.layout import Layout
from pipelines.methods.grid_training.recipe import Length, Recipe


@dataclass(frozen=True)
class Concept:
    """Clips of one concept.

    Attributes:
        latents: (V, C, T', h', w') of each clip.
        cover: (V, 1, T', h', w') 0..1, where the subject is.
        full, brief: (V, L, D) states of all that is said of a clip, and of what tells it from the others.
    """

    latents: Tensor
    cover: Tensor
    full: Tensor
    brief: Tensor


class Source(Protocol):
    """Where concepts come from."""

    def __len__(self) -> int: ...

    def prepare(self) -> Iterator[Progress]:
        """Make what is missing."""

    def concept(self, number: int) -> Concept:
        """Concept number 0.."""


@dataclass(frozen=True)
class Grids:
    """What a step is about.

    Attributes:
        clean, cover: (B, C, T', H', W') and (B, 1, T', H', W') of whole grids.
        words: (B, K, L, D) states of what all cells show, if `shared`, and of each cell's clause.
        missing: (B, 1, 1, H', W') bool, where cells are to be drawn.
    """

    clean: Tensor
    cover: Tensor
    words: Tensor
    missing: Tensor
    shared: bool


def draw_grids(source: Source, draw: np.random.Generator, recipe: Recipe, length: Length) -> Grids:
    """Grids of concepts drawn from `source`; those of a composition keep the order of their clips."""
    layout, shared = Layout.read(recipe.layout), bool(draw.uniform() < recipe.shared)
    chosen = [source.concept(int(number)) for number in draw.integers(len(source), size=recipe.grids(length))]
    parts = [_grid(concept, layout, draw, recipe, length, shared) for concept in chosen]
    clean, cover, words, missing = (torch.cat(values) for values in zip(*parts, strict=True))
    return Grids(clean, cover, words, missing, shared)


def _grid(
    concept: Concept, layout: Layout, draw: np.random.Generator, recipe: Recipe, length: Length, shared: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One grid, a batch of one: latents, cover, words, missing."""
    order = list(range(layout.count)) if recipe.kind == "composition" else cells_of(draw, len(concept.latents), layout.count)
    frames = slice(latent_frames(length, concept.latents.shape[2]))
    clean, cover = (whole_of(layout, values[order][:, :, frames].float()) for values in (concept.latents, concept.cover))
    states = [concept.brief if shared or draw.uniform() < recipe.brief else concept.full for _ in order]
    words = [*([concept.full[order[0]]] if shared else []), *(said[one] for said, one in zip(states, order, strict=True))]
    missing = missing_cells(layout, clean, visible_cells(draw, layout.count, recipe))
    return clean, cover, torch.stack(words).float()[None], missing


def latent_frames(length: Length, whole: int) -> int:
    """How many of `whole` latent frames are used: the first ones, which know nothing of those that follow."""
    return {"still": 1, "short": (whole + 1) // 2, "whole": whole}[length]


def cells_of(draw: np.random.Generator, variants: int, cells: int) -> list[int]:
    """A clip for each cell, none twice as long as there are others."""
    order: list[int] = []
    while len(order) < cells:
        order += draw.permutation(variants).tolist()
    return order[:cells]


def visible_cells(draw: np.random.Generator, cells: int, recipe: Recipe) -> list[int]:
    """Which cells are visible; none unless grids are to be filled, and never all."""
    if recipe.kind != "fill":
        return []
    count = int(draw.choice(len(recipe.visible), p=recipe.visible))
    return draw.permutation(cells)[: min(count, cells - 1)].tolist()


def whole_of(layout: Layout, cells: Tensor) -> Tensor:
    """(1, C, T', H', W') of cells (N, C, T', h', w')."""
    *rest, height, width = cells.shape[1:]
    return layout.put(cells.new_empty(1, *rest, height * layout.rows, width * layout.columns), [cell[None] for cell in cells])


def missing_cells(layout: Layout, clean: Tensor, visible: Sequence[int]) -> Tensor:
    """(1, 1, 1, H', W') bool, false in the visible cells."""
    missing = torch.ones(1, 1, 1, *clean.shape[-2:], dtype=torch.bool)
    for number in visible:
        layout.cut(missing)[number].fill_(False)
    return missing
