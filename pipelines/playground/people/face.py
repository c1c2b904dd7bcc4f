"""The face, painted in face coordinates: a to the right, b up, the head about [-0.8, 0.8] x [-1, 1]."""

from __future__ import annotations

import numpy as np

from pipelines.playground.paint import over, smoothstep
from pipelines.playground.people.identity import Identity
from pipelines.playground.shapes import box
from pipelines.playground.vocabulary import HAIR_COLOURS

Array = np.ndarray


def paint_face(who: Identity, acts: dict[str, Array], a: Array, b: Array, soft: Array) -> Array:
    """(N, 3) unlit skin with everything on it at face coordinates `a`, `b` (N,).

    Args:
        acts: curve, opening, lift, tilt, lids of the frame of each place (N,).
        soft: width of a soft edge in face units (N,).
    """
    colour = np.broadcast_to(np.float32(who.skin), (*a.shape, 3))
    colour = _skin(who, colour, a, b, soft)
    colour = _beard(who, acts, colour, a, b, soft)
    colour = _mouth(who, acts, colour, a, b, soft)
    colour = _nose(who, colour, a, b)
    colour = _eyes(who, acts, colour, a, b, soft)
    colour = _brows(who, acts, colour, a, b, soft)
    return _glasses(who, colour, a, b, soft)


def inside(distance: Array, soft: Array) -> Array:
    """Opacity 0..1 of a region given by a signed distance."""
    return np.clip(0.5 - distance / soft, 0, 1)


def _skin(who: Identity, colour: Array, a: Array, b: Array, soft: Array) -> Array:
    cheek = np.exp(-(((np.abs(a) - 0.42) / 0.17) ** 2) - ((b + 0.26) / 0.15) ** 2)
    colour = over(colour, np.float32(who.skin) * np.float32((1.05, 0.72, 0.70)), 0.55 * who.blush * cheek)
    for x, y in who.freckles:
        colour = over(colour, np.float32(who.skin) * np.float32((0.72, 0.58, 0.50)), inside(np.hypot(a - x, b - y) - 0.024, soft))
    if who.mole:
        colour = over(colour, (0.22, 0.13, 0.10), inside(np.hypot(a - who.mole[0], b - who.mole[1]) - 0.036, soft))
    return colour


def _hair_tone(who: Identity) -> Array:
    return np.float32(HAIR_COLOURS[who.hair_colour])


def _beard(who: Identity, acts: dict[str, Array], colour: Array, a: Array, b: Array, soft: Array) -> Array:
    tone = _hair_tone(who) * 0.82
    if who.beard == "full":
        edge = who.mouth_height + 0.13 + 0.55 * smoothstep(0.30, 0.72, np.abs(a))
        colour = over(colour, tone, 0.94 * inside((b - edge) * 0.8, soft + 0.05))
    if who.beard:
        droop = who.mouth_height + 0.115 - 0.10 * (a / 0.26) ** 2
        shape = np.maximum(np.abs(b - droop) - 0.048 * (1 - 0.4 * np.abs(a) / 0.3), np.abs(a) - 0.29)
        colour = over(colour, tone, inside(shape, soft + 0.02))
    return colour


def mouth_line(who: Identity, curve: Array, a: Array) -> Array:
    """Height b of the line between the lips at `a`."""
    return who.mouth_height + 0.11 * curve * ((a / who.mouth_width) ** 2 - 0.45)


def _mouth(who: Identity, acts: dict[str, Array], colour: Array, a: Array, b: Array, soft: Array) -> Array:
    span = np.clip(1 - (a / who.mouth_width) ** 2, 0, 1)
    line = mouth_line(who, acts["curve"], a)
    gap = 0.115 * acts["opening"] * np.sqrt(span)
    beyond = (np.abs(a) - who.mouth_width) * 0.7
    lips = np.maximum(np.abs(b - line) - gap - (who.lips + 0.008) * np.sqrt(span), beyond)
    colour = over(colour, np.float32(who.lip_colour), inside(lips, soft))
    hole = np.maximum(np.abs(b - line) - np.maximum(gap, 0.008), beyond + 0.02)
    colour = over(colour, (0.22, 0.07, 0.08), inside(hole, soft))
    teeth = np.maximum(np.maximum(hole + 0.012, line + gap * 0.15 - b), np.abs(a) - who.mouth_width * 0.8)
    return over(colour, (0.97, 0.96, 0.93), inside(teeth, soft) * smoothstep(0.15, 0.35, acts["opening"]))


def _nose(who: Identity, colour: Array, a: Array, b: Array) -> Array:
    tip = who.eye_height - who.nose_length
    dark, bright = np.float32(who.skin) * np.float32((0.72, 0.60, 0.56)), np.clip(np.float32(who.skin) * 1.14 + 0.03, 0, 1)
    along = smoothstep(tip - 0.02, tip + 0.06, b) * (1 - smoothstep(who.eye_height - 0.08, who.eye_height + 0.06, b))
    bridge = np.exp(-((a / (0.5 * who.nose_width)) ** 2)) * along
    colour = over(colour, bright, 0.55 * bridge)
    under = np.exp(-((a / who.nose_width) ** 2) - ((b - tip + 0.02) / 0.036) ** 2)
    wings = np.exp(-(((np.abs(a) - who.nose_width) / 0.032) ** 2) - ((b - tip - 0.045) / 0.052) ** 2)
    return over(colour, dark, np.clip(0.75 * under + 0.7 * wings, 0, 1))


def _eyes(who: Identity, acts: dict[str, Array], colour: Array, a: Array, b: Array, soft: Array) -> Array:
    u, v = np.abs(a) - who.eye_distance, b - who.eye_height
    v = v - who.eye_tilt * u * 0.6
    height = np.maximum(who.eye_opening * acts["lids"], 0.006)
    x = np.clip(np.abs(u) / who.eye_width, 0, 1)
    lid = height * (1 - x**2.2)
    white = np.maximum(np.abs(v) - lid, np.abs(u) - who.eye_width) * 0.8
    colour = over(
        colour,
        np.float32(who.skin) * 0.80,
        0.5 * inside(np.maximum(np.abs(v - 0.03) - lid * 1.25 - 0.02, np.abs(u) - who.eye_width * 1.1), soft + 0.03),
    )
    within = inside(white, soft)
    colour = over(colour, (0.97, 0.97, 0.96), within)
    iris = np.hypot(u, v) - 0.074
    colour = over(colour, np.float32(who.eye_colour), within * inside(iris, soft))
    colour = over(colour, (0.05, 0.04, 0.05), within * inside(iris + 0.034, soft))
    shine = np.hypot(a - np.sign(a) * who.eye_distance + 0.024, v - 0.028) - 0.018
    colour = over(colour, (1, 1, 1), within * inside(shine, soft))
    lash = np.maximum(np.abs(v - lid) - 0.014, np.abs(u) - who.eye_width)
    return over(colour, (0.12, 0.08, 0.07), inside(lash, soft))


def _brows(who: Identity, acts: dict[str, Array], colour: Array, a: Array, b: Array, soft: Array) -> Array:
    u = np.abs(a) - who.eye_distance
    line = who.eye_height + who.brow_gap + acts["lift"] + (who.brow_tilt * 0.6 + acts["tilt"]) * u - 1.2 * u * u
    shape = np.maximum(np.abs(b - line) - who.brow_thickness * (1 - 0.35 * np.clip(u / 0.17, -0.5, 1)), np.abs(u) - 0.165)
    return over(colour, _hair_tone(who) * 0.62, inside(shape, soft))


def _glasses(who: Identity, colour: Array, a: Array, b: Array, soft: Array) -> Array:
    if not who.glasses:
        return colour
    u, v = np.abs(a) - who.eye_distance - 0.01, b - who.eye_height + 0.01
    lens = np.hypot(u, v) - 0.215 if who.glasses == "round" else box(u, v, 0.215, 0.165, 0.05)
    colour = over(colour, (0.86, 0.93, 0.98), 0.16 * inside(lens, soft))
    rim = np.abs(lens) - 0.024
    bridge = np.maximum(np.abs(v - 0.05) - 0.022, np.abs(a) - np.maximum(who.eye_distance - 0.19, 0.02))
    arms = np.maximum(np.abs(v - 0.06) - 0.022, -(u - 0.2))
    return over(colour, np.float32(who.frame_colour), inside(np.minimum(rim, np.minimum(bridge, arms)), soft))
