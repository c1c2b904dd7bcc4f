"""Hair: what lies on the head, what stands off it, and what hangs behind it."""

from __future__ import annotations

import numpy as np

from pipelines.playground.paint import noise, smoothstep
from pipelines.playground.people.identity import Identity
from pipelines.playground.shapes import box

Array = np.ndarray

VOLUME = {"short": 0.075, "long": 0.10, "curly": 0.20, "spiky": 0.10, "bun": 0.06, "braids": 0.075}
"""Hair style -> how far it stands off the head, in half head heights."""


def hairline(who: Identity, a: Array) -> Array:
    """Height b above which the head is covered, at `a` on its front."""
    side = np.clip(np.abs(a) / who.width, 0, 1)
    top = who.hairline + who.parting * np.sin(2.4 * a)
    low = {"long": -0.45, "braids": -0.20, "curly": -0.12}.get(who.hair, 0.05)
    return top - (top - low) * side**4.5


def off_head(who: Identity, x: Array, y: Array) -> Array:
    """Signed distance, about, to the hair that stands off the head; `x`, `y` are screen places where the head is the unit circle."""
    angle, radius = np.arctan2(x, y), np.hypot(x, y)
    volume = VOLUME[who.hair]
    if who.hair == "curly":
        volume = volume + 0.055 * np.cos(9 * angle)
    if who.hair == "spiky":
        volume = volume + 0.20 * np.abs((angle * 2.6) % 1 * 2 - 1)
    reach = {"long": 2.6, "curly": 1.95, "braids": 1.9}.get(who.hair, 1.6)
    fade = 1 - smoothstep(reach - 0.35, reach, np.abs(angle))
    return radius - 1 - volume * fade + 0.02 * (1 - fade)


def behind(who: Identity, x: Array, y: Array) -> Array:
    """Signed distance to the hair behind head and neck, in half head heights, before the head's turn moves it."""
    if who.hair == "long":
        return box(x, y + 0.45, who.width + 0.17 + 0.03 * np.sin(7 * y), 1.05, 0.35)
    if who.hair == "bun":
        return np.hypot(x, y - 1.16) - 0.30
    if who.hair == "braids":
        knots = 0.035 * np.cos(15 * y)
        return box(np.abs(x) - who.width - 0.10, y + 0.85, 0.13 + knots, 0.75, 0.10)
    return np.full(np.broadcast(x, y).shape, 9.0, np.float32)


def strands(who: Identity, along: Array, across: Array) -> Array:
    """Brightness around 1 of strands; `across` runs over them."""
    grain = noise(across * 11 + 40, along * 1.6 + 40, 5) - 0.5
    return 1 + 0.30 * grain + 0.10 * np.sin(across * 23)
