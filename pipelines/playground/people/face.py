"""The face, painted in face coordinates: a to the right, b up, the head about [-0.8, 0.8] x [-1, 1]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipelines.playground.paint import noise, over, smoothstep
from pipelines.playground.people.identity import Identity
from pipelines.playground.people.mouth import paint_mouth
from pipelines.playground.people.places import Places, inside
from pipelines.playground.shapes import box
from pipelines.playground.vocabulary import HAIR_COLOURS

Array = np.ndarray


@dataclass(frozen=True)
class Brush:
    """One thing on the face: where it can be at all, and how it is laid over the colours (N, 3) there."""

    where: Callable[[Identity, Places], Array]
    paint: Callable[[Identity, Places, Array], Array]


def paint_face(who: Identity, at: Places) -> Array:
    """(N, 3) unlit skin with everything on it."""
    colour = np.tile(np.float32(who.skin), (len(at.a), 1))
    for brush in BRUSHES:
        chosen = np.flatnonzero(brush.where(who, at))
        if len(chosen):
            colour[chosen] = brush.paint(who, at.only(chosen), colour[chosen])
    return colour


def relief(who: Identity, a: Array, b: Array) -> Array:
    """(N,) how far the nose turns the surface to the right, -0.43..0.43."""
    across = a / (0.8 * who.nose_width)
    return across * np.exp(-(across**2)) * _bridge(who, b)


def _bridge(who: Identity, b: Array) -> Array:
    """1 along the nose, 0 above and below it."""
    tip = who.eye_height - who.nose_length
    return smoothstep(tip - 0.02, tip + 0.05, b) * (1 - smoothstep(who.eye_height - 0.10, who.eye_height + 0.06, b))


def _tint(who: Identity, red: float, green: float, blue: float) -> Array:
    return np.float32(who.skin) * np.float32((red, green, blue))


def _cheeks(who: Identity, at: Places, colour: Array) -> Array:
    lifted = 0.05 * np.maximum(at.curve, 0)
    cheek = np.exp(-(((np.abs(at.a) - 0.42) / 0.17) ** 2) - ((at.b + 0.24 - lifted) / 0.15) ** 2)
    return over(colour, _tint(who, 1.05, 0.70, 0.68), (0.18 + 0.47 * who.blush) * cheek)


def _spots(who: Identity, at: Places, colour: Array) -> Array:
    places = np.float32(who.freckles)
    nearest = np.full_like(at.a, 9.0)
    for x, y in places:
        nearest = np.minimum(nearest, np.hypot(at.a - x, at.b - y))
    return over(colour, _tint(who, 0.74, 0.58, 0.48), 0.8 * inside(nearest - 0.020, at.soft))


def _mole(who: Identity, at: Places, colour: Array) -> Array:
    return over(colour, _tint(who, 0.34, 0.24, 0.22), inside(np.hypot(at.a - who.mole[0], at.b - who.mole[1]) - 0.030, at.soft))


def _hair_tone(who: Identity) -> Array:
    return np.float32(HAIR_COLOURS[who.hair_colour])


def _beard(who: Identity, at: Places, colour: Array) -> Array:
    grain = 0.74 + 0.14 * noise(at.a * 30 + 40, at.b * 12 + 40, 6)[:, None]
    tone = _hair_tone(who) * grain
    if who.beard == "full":
        side = np.abs(at.a) / who.width
        edge = who.mouth_height + 0.10 - 0.06 * smoothstep(0.0, 0.35, side) + 0.75 * smoothstep(0.55, 1.02, side)
        colour = over(colour, tone, inside(at.b - edge, at.soft + 0.06))
    droop = who.mouth_height + 0.115 - 0.10 * (at.a / 0.26) ** 2 - 0.02 * np.exp(-((at.a / 0.03) ** 2))
    shape = np.maximum(np.abs(at.b - droop) - 0.052 * (1 - 0.45 * np.abs(at.a) / 0.3), np.abs(at.a) - 0.29)
    return over(colour, tone, inside(shape, at.soft + 0.02))


def _nose(who: Identity, at: Places, colour: Array) -> Array:
    tip, dark = who.eye_height - who.nose_length, _tint(who, 0.66, 0.52, 0.49)
    light = np.clip(np.float32(who.skin) * 1.13 + 0.04, 0, 1)
    bridge = np.exp(-((at.a / (0.34 * who.nose_width)) ** 2)) * _bridge(who, at.b)
    ball = np.exp(-((at.a / (0.40 * who.nose_width)) ** 2) - ((at.b - tip - 0.06) / 0.05) ** 2)
    colour = over(colour, light, np.clip(0.32 * bridge + 0.35 * ball, 0, 1))
    under = np.exp(-((at.a / (0.95 * who.nose_width)) ** 4) - ((at.b - tip + 0.012) / 0.030) ** 2)
    wings = np.exp(-(((np.abs(at.a) - who.nose_width) / 0.026) ** 2) - ((at.b - tip - 0.045) / 0.050) ** 2)
    colour = over(colour, dark, np.clip(0.62 * under + 0.55 * wings, 0, 1))
    nostril = np.hypot((np.abs(at.a) - 0.52 * who.nose_width) / 1.5, at.b - tip) - 0.020
    return over(colour, _tint(who, 0.38, 0.24, 0.22), 0.75 * inside(nostril, at.soft + 0.01))


def _eyes(who: Identity, at: Places, colour: Array) -> Array:
    u = np.abs(at.a) - who.eye_distance
    v = at.b - who.eye_height - who.eye_tilt * u * 0.6
    x = np.clip(np.abs(u) / who.eye_width, 0, 1)
    height = np.maximum(who.eye_opening * at.lids, 0.004)
    upper, lower = height * (1 - x**2.4), -0.82 * height * (1 - x**2.2)
    socket = np.exp(-((u / (1.25 * who.eye_width)) ** 2) - ((v - 0.05) / 0.11) ** 2)
    colour = over(colour, _tint(who, 0.70, 0.55, 0.52), 0.42 * socket)
    within = inside(np.maximum(np.maximum(v - upper, lower - v), np.abs(u) - who.eye_width) * 0.85, at.soft)
    colour = over(colour, _ball(who, at, u, v, upper), within)
    crease = np.maximum(np.abs(v - upper * 1.25 - 0.030) - 0.008, np.abs(u) - 0.9 * who.eye_width)
    colour = over(colour, _tint(who, 0.55, 0.40, 0.38), 0.6 * inside(crease, at.soft))
    under = np.maximum(np.abs(v - lower) - 0.005, np.abs(u) - 0.95 * who.eye_width)
    colour = over(colour, _tint(who, 0.45, 0.32, 0.30), 0.5 * inside(under, at.soft))
    flick = np.maximum(u - 0.7 * who.eye_width, 0) * 0.35
    lash = np.maximum(np.abs(v - upper - flick) - 0.013 - 0.010 * smoothstep(-0.5, 1.0, u / who.eye_width), np.abs(u) - 1.1 * who.eye_width)
    return over(colour, (0.09, 0.06, 0.06), inside(lash, at.soft))


def _ball(who: Identity, at: Places, u: Array, v: Array, upper: Array) -> Array:
    """(N, 3) the eye's ball: white, iris, pupil and the light in it, under the shadow of its lid."""
    iris_colour, reach = np.float32(who.eye_colour), np.hypot(u, v)
    colour = np.tile(np.float32((0.98, 0.97, 0.96)), (len(u), 1))
    glow = iris_colour * (1.0 - 0.35 * smoothstep(-0.05, 0.05, v))[:, None] * 1.25
    glow = glow * (1 - 0.45 * smoothstep(0.060, 0.092, reach))[:, None]
    colour = over(colour, np.clip(glow, 0, 1), inside(reach - 0.093, at.soft))
    colour = over(colour, (0.04, 0.03, 0.04), inside(reach - 0.046, at.soft))
    colour = colour * (1 - 0.30 * smoothstep(0.06, 0.0, upper - v))[:, None]
    shine = np.hypot(at.a - np.sign(at.a) * who.eye_distance + 0.028, v - 0.032) - 0.021
    return over(colour, (1, 1, 1), inside(shine, at.soft))


def _brows(who: Identity, at: Places, colour: Array) -> Array:
    u = np.abs(at.a) - who.eye_distance
    line = who.eye_height + who.brow_gap + at.lift + (who.brow_tilt * 0.6 + at.tilt) * u - 1.2 * u * u
    shape = np.maximum(np.abs(at.b - line) - who.brow_thickness * (1 - 0.45 * np.clip(u / 0.17, -0.3, 1)), np.abs(u) - 0.17)
    return over(colour, _hair_tone(who) * 0.60, 0.95 * inside(shape, at.soft))


def _glasses(who: Identity, at: Places, colour: Array) -> Array:
    u, v = np.abs(at.a) - who.eye_distance - 0.01, at.b - who.eye_height + 0.01
    lens = np.hypot(u, v) - 0.225 if who.glasses == "round" else box(u, v, 0.225, 0.17, 0.06)
    colour = over(colour, (0.86, 0.93, 0.98), 0.10 * inside(lens, at.soft))
    streak = np.abs(at.a - np.sign(at.a) * who.eye_distance - v + 0.16) - 0.022
    colour = over(colour, (1, 1, 1), 0.35 * inside(np.maximum(streak, lens + 0.03), at.soft))
    rim = np.abs(lens) - 0.021
    bridge = np.maximum(np.abs(v - 0.05) - 0.020, np.abs(at.a) - np.maximum(who.eye_distance - 0.19, 0.02))
    arms = np.maximum(np.abs(v - 0.06) - 0.020, -(u - 0.2))
    return over(colour, np.float32(who.frame_colour), inside(np.minimum(rim, np.minimum(bridge, arms)), at.soft))


def _around_eyes(height: float) -> Callable[[Identity, Places], Array]:
    return lambda who, at: np.abs(at.b - who.eye_height - 0.03) < height


BRUSHES = (
    Brush(lambda who, at: (at.b > -0.7) & (at.b < 0.25), _cheeks),
    Brush(lambda who, at: bool(who.freckles) & (np.abs(at.b + 0.1) < 0.35), _spots),
    Brush(lambda who, at: (who.mole is not None) & (np.abs(at.b + 0.35) < 0.25), _mole),
    Brush(lambda who, at: (who.beard != "") & (at.b < 0.35), _beard),
    Brush(lambda who, at: (at.b < who.mouth_height + 0.3) & (np.abs(at.a) < 0.5), paint_mouth),
    Brush(lambda who, at: (np.abs(at.a) < 0.3) & (np.abs(at.b + 0.1) < 0.45), _nose),
    Brush(_around_eyes(0.28), _eyes),
    Brush(lambda who, at: (at.b > who.eye_height - 0.02) & (at.b < who.eye_height + 0.55), _brows),
    Brush(lambda who, at: (who.glasses != "") & (np.abs(at.b - who.eye_height) < 0.3), _glasses),
)
"""From the skin up to what is worn on it."""
