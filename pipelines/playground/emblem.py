"""Markings that make a toy this one and no other: drawn from a seed, in one or two colours that stand out on the toy."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np

from pipelines.playground.paint import smoothstep
from pipelines.playground.vocabulary import COLOURS

Array = np.ndarray

EMBLEM_PLACE: dict[str, tuple[float, float, float]] = {
    "ball": (0.0, 0.0, 0.6),
    "cube": (0.0, 0.0, 0.6),
    "star": (0.0, -0.05, 0.48),
    "heart": (0.0, 0.08, 0.54),
    "pyramid": (0.0, -0.28, 0.46),
    "diamond": (0.0, 0.08, 0.52),
    "flower": (0.0, 0.0, 0.56),
    "drop": (0.0, -0.28, 0.52),
    "mushroom": (0.0, 0.36, 0.46),
    "fish": (0.22, 0.0, 0.48),
}
"""Shape -> centre (x, y) and radius of the marking in toy coordinates; shapes with a hole where it would be carry none."""

RESOLUTION = 96
INKS = {**COLOURS, "black": (0.10, 0.10, 0.12)}
EDGE = 2.5 / RESOLUTION


def paint_emblem(colour: Array, shape: str, seed: int, base: str, u: Array, v: Array) -> Array:
    """`colour` (..., 3) of a toy of `shape` and colour name `base` with the marking of `seed` at toy coordinates `u`, `v` (...)."""
    x, y, radius = EMBLEM_PLACE[shape]
    picture = _picture(seed, base)
    column, row = (((place / radius + 1) * RESOLUTION / 2).astype(int) for place in (u - x, v - y))
    inside = (column >= 0) & (column < RESOLUTION) & (row >= 0) & (row < RESOLUTION)
    ink = picture[row.clip(0, RESOLUTION - 1), column.clip(0, RESOLUTION - 1)]
    return colour + (ink[..., :3] - colour) * (ink[..., 3] * inside)[..., None]


@lru_cache(256)
def _picture(seed: int, base: str) -> Array:
    """(RESOLUTION, RESOLUTION, 4) colour and opacity of the marking on [-1, 1]^2, rows from below."""
    draw = np.random.default_rng((76, seed))
    kind = KINDS[int(draw.integers(len(KINDS)))]
    inks = _inks(draw, base)
    line = (np.arange(RESOLUTION, dtype=np.float32) + 0.5) * 2 / RESOLUTION - 1
    picture = np.zeros((RESOLUTION, RESOLUTION, 4), np.float32)
    picture[..., :3] = inks[0]
    for distance, ink in kind(draw, *np.meshgrid(line, line)):
        alpha = 1 - smoothstep(-EDGE, EDGE, distance)
        picture[..., :3] += (inks[ink] - picture[..., :3]) * alpha[..., None]
        picture[..., 3] = np.maximum(picture[..., 3], alpha)
    return picture


def _inks(draw: np.random.Generator, base: str) -> list[Array]:
    """Two colours, in seeded order, that differ in brightness from the toy and from one another."""
    toy = np.array(COLOURS[base])
    names = [str(name) for name in draw.permutation(list(INKS))]
    first = next(name for name in names if _apart(np.array(INKS[name]), toy))
    second = max((name for name in names[:6]), key=lambda name: min(_distance(INKS[name], toy), _distance(INKS[name], INKS[first])))
    return [np.array(INKS[first], np.float32), np.array(INKS[second], np.float32)]


def _apart(first: Array, second: Array) -> bool:
    return _distance(first, second) > 0.55


def _distance(first, second) -> float:
    """Distance of two colours, differences of brightness counted most."""
    difference = np.subtract(first, second)
    return float(np.hypot(1.6 * np.dot((0.3, 0.59, 0.11), difference), 0.5 * np.linalg.norm(difference)))


Parts = list[tuple[Array, int]]
"""(signed distance, number of the ink), painted in this order."""


def _segment(x: Array, y: Array, start: Array, end: Array) -> Array:
    """Distance to a straight line between two points."""
    way = end - start
    along = np.clip(((x - start[0]) * way[0] + (y - start[1]) * way[1]) / max(float(way @ way), 1e-6), 0, 1)
    return np.hypot(x - start[0] - along * way[0], y - start[1] - along * way[1])


def glyph(draw: np.random.Generator, x: Array, y: Array) -> Parts:
    """Letter-like strokes along a walk on a 3 x 3 grid, on a round or square field of the second ink."""
    nodes = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]) * np.array([0.5, 0.62])
    walk = draw.permutation(9)[: int(draw.integers(4, 6))]
    strokes = [_segment(x, y, nodes[a], nodes[b]) for a, b in pairwise(walk)]
    field = np.hypot(x, y) - 0.98 if draw.uniform() < 0.5 else np.maximum(np.abs(x), np.abs(y)) - 0.84
    return [(field, 1), (np.minimum.reduce(strokes) - 0.15, 0)]


def mosaic(draw: np.random.Generator, x: Array, y: Array) -> Parts:
    """A patch of 4 x 4 squares in two inks, alike on both sides."""
    half = draw.permutation([0, 0, 0, 1, 1, 1, 1, 0]).reshape(4, 2)
    cells = np.concatenate([half, half[:, ::-1]], 1)
    row, column = (np.clip(((place / 0.72 + 1) * 2).astype(int), 0, 3) for place in (y, x))
    square = np.maximum(np.abs(x), np.abs(y)) - 0.72
    return [(square - 0.12, 0), (np.where(cells[row, column] > 0, square, 1.0), 1)]


def patch(draw: np.random.Generator, x: Array, y: Array) -> Parts:
    """A polygon with another one in it."""
    outer, inner = draw.choice((3, 4, 5, 6, 40), 2, replace=False)
    turns = draw.uniform(0, 2 * np.pi, 2)
    return [(_regular(x, y, int(outer), turns[0], 0.92), 0), (_regular(x, y, int(inner), turns[1], draw.uniform(0.42, 0.55)), 1)]


def _regular(x: Array, y: Array, corners: int, turn: float, radius: float) -> Array:
    """Signed distance, about, to a regular polygon; three corners are drawn larger to weigh the same."""
    sector = 2 * np.pi / corners
    angle = (np.arctan2(y, x) + turn) % sector - sector / 2
    return np.hypot(x, y) * np.cos(angle) - radius * (0.62 if corners == 3 else np.cos(np.pi / corners))


def bands(draw: np.random.Generator, x: Array, y: Array) -> Parts:
    """Two to four bars across a disc, aslant, or two crossed ones."""
    turn, count = draw.uniform(0, np.pi), int(draw.integers(2, 5))
    along, across = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
    disc = np.hypot(x, y) - 0.95
    if draw.uniform() < 0.35:
        bars = np.minimum(np.abs(along), np.abs(across)) - draw.uniform(0.18, 0.28)
    else:
        bars = np.abs((across * count / 1.9 + 10.5) % 1 - 0.5) * 1.9 / count - 0.42 / count
    return [(disc, 1), (np.maximum(bars, disc), 0)]


def eyes(draw: np.random.Generator, x: Array, y: Array) -> Parts:
    """One to three eyes looking somewhere, and perhaps a mouth."""
    count, look = int(draw.integers(1, 4)), draw.uniform(0, 2 * np.pi)
    radius = (0.62, 0.44, 0.32)[count - 1]
    centres = (np.arange(count) - (count - 1) / 2) * radius * 2.1
    height = 0.22 if draw.uniform() < 0.6 else 0.0
    white = np.minimum.reduce([np.hypot(x - c, y - height) for c in centres]) - radius
    aside = radius * 0.35 * np.array([np.cos(look), np.sin(look)])
    pupil = np.minimum.reduce([np.hypot(x - c - aside[0], y - height - aside[1]) for c in centres]) - radius * 0.5
    mouth: Parts = [(np.maximum(np.abs(np.hypot(x, y + 0.35) - 0.38) - 0.11, y + 0.4), 0)] if height else []
    return [(white, 0), (pupil, 1), *mouth]


def badge(draw: np.random.Generator, x: Array, y: Array) -> Parts:
    """A disc with a rim and a rosette of three to six leaves."""
    leaves, turn = int(draw.integers(3, 7)), draw.uniform(0, 2 * np.pi)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    rosette = radius - 0.42 - draw.uniform(0.14, 0.26) * np.cos(leaves * angle + turn)
    rim: Parts = [(radius - 0.97, 0), (radius - 0.8, 1)] if draw.uniform() < 0.5 else [(radius - 0.92, 1)]
    return [*rim, (rosette, 0), *([(radius - 0.2, 1)] if draw.uniform() < 0.5 else [])]


KINDS: tuple[Callable[[np.random.Generator, Array, Array], Parts], ...] = (glyph, mosaic, patch, bands, eyes, badge)
