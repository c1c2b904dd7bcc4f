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
    table = np.random.default_rng((73, seed)).random((64, 64), np.float32).ravel()
    left, low = np.floor(x), np.floor(y)
    u, v = x - left, y - low
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    column, row = left.astype(np.int32), low.astype(np.int32)
    columns, rows = (column & 63, (column + 1) & 63), ((row & 63) << 6, ((row + 1) & 63) << 6)
    lower, upper = (table.take(rows[i] + columns[0]) * (1 - u) + table.take(rows[i] + columns[1]) * u for i in (0, 1))
    return lower * (1 - v) + upper * v


def blur(image: Array, radius: float) -> Array:
    """(T, H, W) smoothed by about `radius` pixels along both axes, edges repeated."""
    reach = max(1, round(radius))
    for axis in (1, 2, 1, 2):
        image = _box(image, reach, axis)
    return image


def _box(image: Array, reach: int, axis: int) -> Array:
    """Mean over `2 reach + 1` neighbours along `axis`."""
    pad = [(reach + 1, reach) if index == axis else (0, 0) for index in range(image.ndim)]
    total = np.moveaxis(np.cumsum(np.pad(image, pad, mode="edge"), axis=axis, dtype=np.float32), axis, 0)
    return np.moveaxis((total[2 * reach + 1 :] - total[: -2 * reach - 1]) / (2 * reach + 1), 0, axis)


def cells(x: Array, spacing: float, seed: int) -> tuple[Array, Array, Array]:
    """Repeat along x: offset from the cell's centre, and two seeded numbers 0..1 of the cell."""
    index = np.floor(x / spacing).astype(int)
    table = np.random.default_rng((74, seed)).random((2, 64)).astype(np.float32)
    return x - (index + 0.5) * spacing, table[0][index % 64], table[1][index % 64]
