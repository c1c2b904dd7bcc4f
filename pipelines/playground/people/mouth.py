"""The mouth: lips around an opening with teeth and tongue."""

from __future__ import annotations

import numpy as np

from pipelines.playground.paint import over, smoothstep
from pipelines.playground.people.identity import Identity
from pipelines.playground.people.places import Places, inside

Array = np.ndarray

BEND = 0.13
"""How far the corners of a fully curved mouth lie above its middle, in half head heights."""


def corner_height(who: Identity, curve: Array) -> Array:
    """Height b of the corners of the mouth."""
    return who.mouth_height + 0.55 * BEND * curve


def paint_mouth(who: Identity, at: Places, colour: Array) -> Array:
    """`colour` (N, 3) with the mouth laid over it."""
    half = who.mouth_width * at.wide
    side = np.abs(at.a) / half
    span = np.sqrt(np.clip(1 - side**2, 0, 1))
    line = who.mouth_height + BEND * at.curve * (side**2 - 0.45)
    beyond = (np.abs(at.a) - half) * 0.7
    # a smile opens downwards, a round mouth both ways
    smiling = np.clip(at.curve, 0, 1)
    top, low = line + 0.11 * at.opening * (1 - smiling) * span, line - (0.11 + 0.10 * smiling) * at.opening * span
    colour = _folds(who, at, half, colour)
    colour = _lips(who, at, top, low, side, span, beyond, colour)
    hole = np.maximum(np.maximum(at.b - top, low - at.b), beyond + 0.015)
    colour = over(colour, _inner(at, top, low), inside(hole, at.soft) * smoothstep(0.02, 0.12, at.opening))
    closed = np.maximum(np.abs(at.b - line) - 0.008, beyond)
    return over(colour, np.float32(who.lip_colour) * 0.38, inside(closed, at.soft) * (1 - smoothstep(0.02, 0.12, at.opening)))


def _folds(who: Identity, at: Places, half: Array, colour: Array) -> Array:
    """Dimples beside a curved mouth, and the shadow under the lower lip."""
    dimple = np.exp(-(((np.abs(at.a) - half - 0.035) / 0.022) ** 2) - ((at.b - corner_height(who, at.curve)) / 0.045) ** 2)
    below = np.exp(-((at.a / (0.6 * half)) ** 2) - ((at.b - who.mouth_height + 0.12 + 0.16 * at.opening) / 0.028) ** 2)
    dark = np.float32(who.skin) * np.float32((0.68, 0.52, 0.50))
    return over(colour, dark, np.clip(0.5 * np.abs(at.curve) * dimple + 0.38 * below, 0, 1))


def _lips(who: Identity, at: Places, top: Array, low: Array, side: Array, span: Array, beyond: Array, colour: Array) -> Array:
    bow = 1 - 0.35 * np.exp(-((side / 0.16) ** 2))
    upper = np.maximum(np.maximum(at.b - top - (0.9 * who.lips * bow + 0.006) * span, low - at.b), beyond)
    lower = np.maximum(np.maximum(low - at.b - (1.25 * who.lips + 0.006) * span, at.b - top), beyond)
    tone = np.float32(who.lip_colour)
    colour = over(colour, tone * 0.88, inside(upper, at.soft))
    colour = over(colour, tone, inside(lower, at.soft))
    wet = np.exp(-((side / 0.45) ** 2) - ((low - at.b - 0.6 * who.lips) / 0.016) ** 2)
    return over(colour, np.clip(tone * 1.2 + 0.14, 0, 1), 0.55 * wet)


def _inner(at: Places, top: Array, low: Array) -> Array:
    """(N, 3) colour inside the mouth: dark, teeth above, tongue below."""
    colour = np.tile(np.float32((0.24, 0.06, 0.08)), (len(top), 1))
    depth = np.maximum(top - low, 1e-3)
    tongue = np.hypot(at.a / 0.16, (at.b - low) / (0.45 * depth + 1e-3))
    colour = over(colour, (0.78, 0.33, 0.36), (1 - smoothstep(0.8, 1.1, tongue)) * smoothstep(0.3, 0.5, at.opening))
    row = np.clip(0.62 * depth, 0, 0.085)
    return over(colour, (0.98, 0.97, 0.94), inside(top - row - at.b, at.soft) * smoothstep(0.10, 0.25, at.opening))
