"""Outlines of toys as signed distances in toy coordinates: x right, y up, the toy within about [-1, 1]; negative inside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray


def ball(x: Array, y: Array) -> Array:
    return np.hypot(x, y) - 0.95


def cube(x: Array, y: Array) -> Array:
    return box(x, y, 0.78, 0.78, 0.14)


def box(x: Array, y: Array, half_width: float, half_height: float, radius: float) -> Array:
    """A rectangle with rounded corners."""
    dx, dy = np.abs(x) - half_width + radius, np.abs(y) - half_height + radius
    return np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0) - radius


def polygon(x: Array, y: Array, corners: Array, radius: float = 0.0) -> Array:
    """A closed polygon, its corners rounded outwards by `radius`; `corners` is (N, 2)."""
    distance = np.full(np.broadcast(x, y).shape, np.inf, np.float32)
    sign = np.ones_like(distance)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, 1, axis=0), strict=True):
        ex, ey, wx, wy = bx - ax, by - ay, x - ax, y - ay
        along = np.clip((wx * ex + wy * ey) / (ex * ex + ey * ey), 0, 1)
        distance = np.minimum(distance, (wx - ex * along) ** 2 + (wy - ey * along) ** 2)
        above, below, left = y >= ay, y < by, ex * wy > ey * wx
        sign = np.where((above & below & left) | (~above & ~below & ~left), -sign, sign)
    return sign * np.sqrt(distance) - radius


def star(x: Array, y: Array) -> Array:
    angles = np.pi / 2 + np.arange(10) * np.pi / 5
    radii = np.where(np.arange(10) % 2 == 0, 0.98, 0.45)
    return polygon(x, y, np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1), 0.06)


def heart(x: Array, y: Array) -> Array:
    x, y = np.abs(x) / 1.62, (y + 0.85) / 1.62
    top = np.hypot(x - 0.25, y - 0.75) - np.sqrt(2) / 4
    fold = 0.5 * np.maximum(x + y, 0)
    side = np.sqrt(np.minimum(x**2 + (y - 1) ** 2, (x - fold) ** 2 + (y - fold) ** 2)) * np.sign(x - y)
    return np.where(x + y > 1, top, side) * 1.62


def ring(x: Array, y: Array) -> Array:
    return np.abs(np.hypot(x, y) - 0.66) - 0.3


def pyramid(x: Array, y: Array) -> Array:
    return polygon(x, y, np.array([[-0.88, -0.72], [0.88, -0.72], [0.0, 0.82]]), 0.1)


def diamond(x: Array, y: Array) -> Array:
    return polygon(x, y, np.array([[0, -0.92], [0.82, 0.25], [0.45, 0.68], [-0.45, 0.68], [-0.82, 0.25]]), 0.05)


def moon(x: Array, y: Array) -> Array:
    return np.maximum(np.hypot(x, y) - 0.95, 0.72 - np.hypot(x - 0.48, y - 0.2))


def flower(x: Array, y: Array) -> Array:
    petals = [np.hypot(x - 0.55 * np.cos(a), y - 0.55 * np.sin(a)) - 0.4 for a in np.arange(5) * 2 * np.pi / 5 + np.pi / 2]
    return np.minimum.reduce([np.hypot(x, y) - 0.45, *petals])


def drop(x: Array, y: Array) -> Array:
    body = np.hypot(x, y + 0.3) - 0.64
    tip = polygon(x, y, np.array([[-0.54, 0.02], [0.54, 0.02], [0.0, 0.98]]))
    return np.minimum(body, tip)


def mushroom(x: Array, y: Array) -> Array:
    cap = np.maximum(np.hypot(x, (y - 0.0) * 1.12) - 0.95, -y - 0.02)
    return np.minimum(cap, box(x, y + 0.45, 0.32, 0.5, 0.14))


def fish(x: Array, y: Array) -> Array:
    body = (np.hypot(x - 0.2, y * 1.45) - 0.75) / 1.2
    tail = polygon(x, y, np.array([[-0.35, 0.0], [-0.92, 0.52], [-0.92, -0.52]]), 0.05)
    return np.minimum(body, tail)


OUTLINES: dict[str, Callable[[Array, Array], Array]] = {
    function.__name__: function for function in (ball, cube, star, heart, ring, pyramid, diamond, moon, flower, drop, mushroom, fish)
}
