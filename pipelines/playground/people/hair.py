"""Hair: what lies on the head, what stands off it, what hangs behind it and before the shoulders."""

from __future__ import annotations

import numpy as np

from pipelines.playground.paint import noise, smoothstep
from pipelines.playground.people.identity import Identity
from pipelines.playground.shapes import box

Array = np.ndarray

VOLUME = {"short": 0.075, "long": 0.09, "curly": 0.20, "spiky": 0.08, "bun": 0.05, "braids": 0.065}
"""Hair style -> how far it stands off the head, in half head heights."""

REACH = {"long": 2.2, "curly": 2.0, "braids": 1.85}
"""Hair style -> angle from the crown, radians, down to which it stands off the head; 1.6 for the others."""

SIDES = {"long": -0.45, "braids": -0.20, "curly": -0.12}
"""Hair style -> height where it ends beside the face; 0.02 for the others."""

FALLS_BEHIND, FALLS_BEFORE, COVERS_EARS = ("long", "bun", "curly"), ("long", "braids"), ("long", "curly")
"""Styles with hair behind the head, with hair before the shoulders, and without ears to be seen."""


def hairline(who: Identity, a: Array) -> Array:
    """Height b above which the head is covered, at `a` on its front; never below the brows in the middle."""
    side = np.clip(np.abs(a) / who.width, 0, 1)
    match who.fringe:
        case "swept":
            top = who.hairline + 0.9 * who.parting * np.sin(2.4 * a) + 0.03
        case "straight":
            top = who.hairline - 0.04 + 0.012 * np.sin(26 * a)
        case "parted":
            top = who.hairline + 0.20 - 0.62 * np.abs(a - 1.6 * who.parting) ** 1.15
        case _:
            top = who.hairline + 0.10 - 0.10 * side**2
    top = np.maximum(top, who.eye_height + who.brow_gap + 0.07)
    low = SIDES.get(who.hair, 0.02)
    return top - (top - low) * side**5


def off_head(who: Identity, x: Array, y: Array) -> Array:
    """Signed distance, about, to the hair that stands off the head; `x`, `y` are screen places where the head is the unit circle."""
    angle, radius = np.arctan2(x, y), np.hypot(x, y)
    volume = VOLUME[who.hair] + 0.05 * np.exp(-(((angle - 5 * who.parting) / 0.8) ** 2))
    if who.hair == "curly":
        volume = volume + 0.045 * np.abs(np.cos(6.5 * angle + 1))
    if who.hair == "spiky":
        volume = volume + 0.19 * np.abs((angle * 2.2 + 2 * who.parting) % 1 * 2 - 1) ** 1.3
    reach = REACH.get(who.hair, 1.6)
    fade = 1 - smoothstep(reach - 0.45, reach, np.abs(angle))
    return radius - 1 - volume * fade + 0.02 * (1 - fade)


def behind(who: Identity, x: Array, y: Array) -> Array:
    """Signed distance to the hair behind head and neck of a style of FALLS_BEHIND, in half head heights, the head not turned."""
    if who.hair == "long":
        return box(x, y + 0.42, who.width + 0.13 + 0.02 * np.sin(5 * y + 1), 1.02, 0.45)
    if who.hair == "bun":
        return np.hypot(x, y - 1.16) - 0.30
    return np.hypot(x / (who.width + 0.20), (y - 0.05) / 1.05) - 1 + 0.03 * np.cos(14 * np.arctan2(x, y))


def hanging(who: Identity, x: Array, y: Array) -> Array:
    """Signed distance to the hair that falls before the shoulders; it ends above the tracked places of the chest."""
    x = np.abs(x) - who.width
    if who.hair == "braids":
        knots, thin = 0.030 * np.abs(np.cos(9 * y)), 0.10 * smoothstep(-1.0, -1.55, y)
        return box(x - 0.02, y + 0.78, 0.125 + knots - thin, 0.70, 0.08)
    return box(x - 0.03 + 0.05 * np.sin(2.5 * y), y + 0.73, 0.105 - 0.05 * smoothstep(-0.9, -1.5, y), 0.74, 0.05)


def strands(who: Identity, along: Array, across: Array) -> Array:
    """Brightness around 1 of strands; `across` runs over them."""
    if who.hair == "curly":
        curls = np.sin(across * 9 + 2.2 * np.sin(along * 7)) * np.sin(along * 11 + 1.7 * np.sin(across * 6))
        return 1 + 0.24 * curls
    grain = noise(across * 11 + 40, along * 1.6 + 40, 5) - 0.5
    return 1 + 0.26 * grain + 0.07 * np.sin(across * 23)


def plaits(x: Array, y: Array) -> Array:
    """Brightness around 1 of a braid's crossing locks, `x` from its middle."""
    return 0.98 + 0.22 * np.sin(18 * y + 9 * np.abs(x))
