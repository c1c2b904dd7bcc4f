"""Which token of one clip shows the same as which token of another: matches, flows, the cycle check, and warping along them.

Definitions: V-Warper, section 4.3. Frame f of the generated clip is matched with frame f of the reference, on the token grid
(h, w); a reference of a single frame serves every frame. Coordinates are (x, y) of tokens, to the right and downwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Grid = tuple[int, int, int]
"""(T', h, w) of the generated clip."""

CHUNK = 4096
"""Rows of a correlation that are held at once: at 4096 x 1350 tokens in float32 that is 22 MB."""

CYCLE_FACTOR = 0.1
"""Of the threshold of the cycle check (V-Warper, section 4.3)."""


@dataclass(frozen=True)
class Matches:
    """The likeliest partners of all tokens, within their frame.

    Attributes:
        grid: (T', h, w).
        to_reference: (T', h * w) int64, for each generated token the reference token.
        to_generated: (T', h * w) int64, for each reference token the generated token.
        score: (T', h * w) correlation of each generated token with its partner.
    """

    grid: Grid
    to_reference: Tensor
    to_generated: Tensor
    score: Tensor


def match(query: Tensor, key: Tensor, reference_query: Tensor, reference_key: Tensor, grid: Grid, chunk: int = CHUNK) -> Matches:
    """Arguments of the maxima of the symmetric correlation (V-Warper, eq. 4).

    C = 1/2 (q_gen k_ref^T + (q_ref k_gen^T)^T) / sqrt(C), one frame at a time and `chunk` generated tokens at a time.

    Args:
        query, key: (T' * h * w, C) of the generated clip's video tokens.
        reference_query, reference_key: the same of the reference, or (h * w, C) of a single frame.
        grid: (T', h, w).
    """
    query, key, reference_query, reference_key = (_frames(part, grid) for part in (query, key, reference_query, reference_key))
    found = [_match_frame(*parts, chunk) for parts in zip(query, key, reference_query, reference_key, strict=True)]
    return Matches(grid, *(torch.stack(parts) for parts in zip(*found, strict=True)))


def _match_frame(query: Tensor, key: Tensor, reference_query: Tensor, reference_key: Tensor, chunk: int) -> tuple[Tensor, Tensor, Tensor]:
    """(to reference, to generated, score) of one frame, (N,) each, of features (N, C)."""
    query, key, reference_query, reference_key = (part.float() for part in (query, key, reference_query, reference_key))
    count, channels = query.shape
    forward, scores = [], []
    best, partner = torch.full((count,), -torch.inf, device=query.device), torch.zeros(count, dtype=torch.int64, device=query.device)
    for start in range(0, count, chunk):
        rows = slice(start, start + chunk)
        symmetric = 0.5 * (query[rows] @ reference_key.T + key[rows] @ reference_query.T) / channels**0.5  # (rows, N)
        score, column = symmetric.max(1)
        forward.append(column)
        scores.append(score)
        highest, row = symmetric.max(0)
        better = highest > best
        best, partner = torch.where(better, highest, best), torch.where(better, row + start, partner)
    return torch.cat(forward), partner, torch.cat(scores)


def flow(partners: Tensor, grid: Grid) -> Tensor:
    """Displacement (T', h, w, 2) in token grid units, (x, y), from each token to its partner (T', h * w)."""
    here = positions(grid, partners.device)
    return (here[partners] - here).unflatten(1, grid[1:])


def positions(grid: Grid, device: torch.device | str = "cpu") -> Tensor:
    """(h * w, 2) float32 coordinates (x, y) of the tokens of a frame."""
    down, right = torch.meshgrid(torch.arange(grid[1], device=device), torch.arange(grid[2], device=device), indexing="ij")
    return torch.stack([right, down], -1).flatten(0, 1).float()


def cycle_error(matches: Matches) -> Tensor:
    """(T', h, w) distance of each generated token from where it ends after going to the reference and back, in grid units."""
    here = positions(matches.grid, matches.to_reference.device)
    back = matches.to_generated.gather(1, matches.to_reference)
    return (here[back] - here).norm(dim=-1).unflatten(1, matches.grid[1:])


def cycle_mask(error: Tensor, foreground: Tensor, factor: float = CYCLE_FACTOR) -> Tensor:
    """(T', h, w) bool: where the round trip ends near its start (V-Warper, eq. 5).

    The threshold of a frame is `factor` x its share of foreground x the longer side of the grid, so that it means the same
    on grids of any shape.

    Args:
        error: (T', h, w) in grid units.
        foreground: (T', h, w) bool.
    """
    share = foreground.float().mean((1, 2), keepdim=True)
    return error <= factor * share * max(error.shape[1:])


def warp(values: Tensor, matches: Matches) -> Tensor:
    """Reference values pulled onto the generated clip: (..., T' * h * w, C), or (..., h * w, C) of one frame -> (..., T' * h * w, C)."""
    frames, side = matches.to_reference.shape
    if values.shape[-2] == side:
        return values[..., matches.to_reference.flatten(), :]
    start = torch.arange(frames, device=values.device)[:, None] * side
    return values[..., (matches.to_reference + start).flatten(), :]


def inject(values: Tensor, warped: Tensor, mask: Tensor) -> Tensor:
    """V <- M * warped + (1 - M) * V (V-Warper, eq. 8) for values (..., N, C) of the video tokens and a mask of N tokens."""
    return torch.where(mask.flatten()[:, None].bool(), warped, values)


def _frames(features: Tensor, grid: Grid) -> Tensor:
    """(T', h * w, C) of (T' * h * w, C); a single frame is repeated. Raises ValueError if it does not fit the grid."""
    frames, side = grid[0], grid[1] * grid[2]
    if features.shape[0] not in (side, frames * side):
        raise ValueError(f"{features.shape[0]} tokens are neither one frame nor the clip of a grid {grid}")
    return features.reshape(-1, side, features.shape[-1]).expand(frames, -1, -1)
