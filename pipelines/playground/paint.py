"""Brushes: smooth edges, seeded noise, blending. All on arrays of any shape, colours 0..1."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def smoothstep(low: float, high: float, value: Array) -> Array:
    """0 below `low`, 1 above `high`, smooth in between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def over(canvas: Array, colour, alpha: Array) -> Array:
    """`colour` laid over `canvas` (..., 3) with opacity `alpha` (...)."""
    return canvas + (np.asarray(colour, np.float32) - canvas) * alpha[..., None]


def gradient(value: Array, stops: list[tuple[float, tuple[float, float, float]]]) -> Array:
    """(..., 3) colours interpolated between (position, colour) stops."""
    positions = [position for position, _ in stops]
    return np.stack([np.interp(value, positions, [colour[i] for _, colour in stops]) for i in range(3)], -1).astype(np.float32)


def noise(x: Array, y: Array, seed: int) -> Array:
    """Smooth value noise 0..1 with one feature per unit, the same for the same place and seed."""
    table = np.random.default_rng((73, seed)).random((64, 64), np.float32)
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    u, v = x - column, y - row
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    corner = [table[(row + i) % 64, (column + j) % 64] for i in (0, 1) for j in (0, 1)]
    return (corner[0] * (1 - u) + corner[1] * u) * (1 - v) + (corner[2] * (1 - u) + corner[3] * u) * v


def cells(x: Array, spacing: float, seed: int) -> tuple[Array, Array, Array]:
    """Repeat along x: offset from the cell's centre, and two seeded numbers 0..1 of the cell."""
    index = np.floor(x / spacing).astype(int)
    table = np.random.default_rng((74, seed)).random((2, 64)).astype(np.float32)
    return x - (index + 0.5) * spacing, table[0][index % 64], table[1][index % 64]
