"""Structured text attention: which cell attends to which words, and how much of what it attends to is another cell's.

q_A attends to T_g and T_A, q_B to T_g and T_B, q_Out to T_g, T_A, T_B and T_Out (Grid composition, section 3.2). Cells are attended
for one after the other, each with its words alone: no mask of video times text tokens is ever made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipelines.attention.edits import Recording, recording
from pipelines.attention.processors import processors
from pipelines.attention.windows import Window
from pipelines.backbones.processors import OpenCross, attend
from pipelines.methods.grid.text import GridText

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

ROWS = 1 << 24
"""Numbers of attention that are held at once when it is looked at."""


@dataclass(frozen=True)
class Route:
    """Numbers of a group's video tokens, and of the text tokens that it attends to; both (n,) int64."""

    video: Tensor
    words: Tensor


def attend_by_route(routes: Sequence[Route], query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention (B, heads, N, d) in which each group of queries sees its own keys; the groups hold every query once."""
    parts = [attend(query[:, :, one.video], key[:, :, one.words], value[:, :, one.words]) for one in routes]
    order = torch.cat([one.video for one in routes]).argsort()
    return torch.cat(parts, 2)[:, :, order]


def sight(composed: Mapping[int, Sequence[int]] | None, count: int, structured: bool = True) -> list[tuple[int, ...]]:
    """The cells whose clauses each cell attends to.

    Args:
        composed: output cell -> the cells it is made of, in a composition.
        structured: False: all see everything, as in the paper's consistent mode.
    """
    if not structured:
        return [tuple(range(count))] * count
    return [tuple(sorted({*(composed or {}).get(cell, ()), cell})) for cell in range(count)]


def routes_of(
    text: GridText, tokens: Sequence[np.ndarray], sees: Sequence[Sequence[int]], device: str | torch.device = "cpu"
) -> list[Route]:
    """A route for each cell.

    Args:
        tokens: numbers of each cell's video tokens, see `Layout.tokens`.
        sees: see `sight`.
    """
    words = [torch.tensor(text.seen_by(cells), device=device) for cells in sees]
    return [Route(torch.from_numpy(video).to(device), seen) for video, seen in zip(tokens, words, strict=True)]


@contextmanager
def routed(backbone: Backbone, routes: Sequence[Route]) -> Iterator[None]:
    """Within, all attention to text goes along `routes`; afterwards the layers have their processors again."""
    names = [block.cross.name for block in backbone.blocks()]
    with processors(backbone.transformer, {name: OpenCross(partial(attend_by_route, routes)) for name in names}):
        yield


class Watched:
    """How much of each cell's attention to text goes where; made by `watching`."""

    def __init__(self, queries: Recording, keys: Recording, heads: int, routes: Sequence[Route], parts: Sequence[Sequence[int]]) -> None:
        self._queries, self._keys, self._heads, self._routes, self._parts = queries, keys, heads, routes, parts
        self._sum, self._count = torch.zeros(len(routes), len(parts)), 0

    def add(self) -> np.ndarray:
        """After a forward pass: its shares (cells, parts), the mean over the watched layers; they count towards `mean`."""
        layers = [
            shares(self._queries.latest(layer), self._keys.latest(layer), self._heads, self._routes, self._parts).cpu()
            for layer in self._queries.layers
        ]
        found = torch.stack(layers).mean(0)
        self._sum, self._count = self._sum + found, self._count + 1
        return found.numpy()

    def mean(self) -> np.ndarray | None:
        """(cells, parts) over all passes, None before the first."""
        return (self._sum / self._count).numpy() if self._count else None


@contextmanager
def watching(
    backbone: Backbone, latents: Tensor, routes: Sequence[Route], parts: Sequence[Sequence[int]],
    layers: Window | Collection[int] | None = None,
) -> Iterator[Watched]:  # fmt: skip
    """Within, attention to text can be looked at after each forward pass over `latents`, in the conditional half."""
    layout, blocks = backbone.tokens(latents), [block.cross for block in backbone.blocks()]
    wide = replace(layout, context=max(place for part in parts for place in part) + 1)
    with recording(blocks, "query", wide, layers=layers) as queries, recording(blocks, "key", wide, layers=layers) as keys:
        yield Watched(queries, keys, layout.heads, routes, parts)


def shares(query: Tensor, key: Tensor, heads: int, routes: Sequence[Route], parts: Sequence[Sequence[int]]) -> Tensor:
    """(cells, parts): the share of a cell's attention that goes to T_g and to each clause, mean over its tokens and over heads.

    Args:
        query: (1, N, heads * d); key: (1, M, heads * d), as attention has them.
        parts: places of each part, see `GridText.parts`.
    """
    query, key = (part[0].float().unflatten(1, (heads, -1)).transpose(0, 1) for part in (query, key))  # (heads, n, d)
    belongs = torch.zeros(key.shape[1], len(parts), device=key.device)
    for number, part in enumerate(parts):
        belongs[list(part), number] = 1
    return torch.stack([_share(query[:, one.video], key[:, one.words], belongs[one.words]) for one in routes])


def _share(query: Tensor, key: Tensor, belongs: Tensor) -> Tensor:
    """(parts,) of queries (heads, n, d), keys (heads, m, d) and belongs (m, parts); a block of queries at a time."""
    chunk = max(1, ROWS // (key.shape[0] * key.shape[1]))
    blocks = [(part @ key.transpose(1, 2) / key.shape[-1] ** 0.5).softmax(-1) @ belongs for part in query.split(chunk, 1)]
    return torch.cat(blocks, 1).mean((0, 1))


def leaked(found: np.ndarray, sees: Sequence[Sequence[int]]) -> float:
    """Of what cells attend to in clauses, the share that is in clauses of cells they should not see (Fig. 7).

    Args:
        found: (cells, 1 + cells) shares, T_g first.
        sees: see `sight`, structured.
    """
    allowed = np.array([[other in cells for other in range(len(sees))] for cells in sees])
    clauses = found[:, 1:]
    return float((clauses * ~allowed).sum() / max(clauses.sum(), 1e-12))
