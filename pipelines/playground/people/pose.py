"""Where a head is, which way it looks and what its face does, over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.playground.people.identity import Identity
from pipelines.playground.subjects import Person

Array = np.ndarray

MOUTHS = {
    "neutral": (0.12, 0.0, 1.0),
    "smile": (0.95, 0.45, 1.12),
    "surprised": (0.0, 0.95, 0.62),
    "sad": (-0.75, 0.0, 0.88),
    "angry": (-0.45, 0.22, 0.95),
}
"""Expression -> curve of the mouth (corners up 1 .. down -1), opening 0..1, and width as a factor."""

BROWS = {"neutral": (0.0, 0.0), "smile": (0.02, 0.02), "surprised": (0.10, 0.05), "sad": (0.03, -0.30), "angry": (-0.06, 0.38)}
"""Expression -> lift of the brows, and tilt added to the person's own (positive: inner ends down)."""

LIDS = {"neutral": 1.0, "smile": 0.80, "surprised": 1.32, "sad": 0.75, "angry": 0.72}
"""Expression -> opening of the eyes as a factor."""


@dataclass(frozen=True)
class Pose:
    """A person in T frames; arrays are (T,) unless said otherwise.

    Attributes:
        centre: (T, 2) of the head on the screen, half frame heights, y up; size: half the head's height, the same unit.
        yaw, pitch, roll: radians; positive yaw looks to the right of the picture, positive pitch up, positive roll counter-clockwise.
        curve, opening, wide: of the mouth; lift, tilt: of the brows; lids: opening of the eyes as a factor.
    """

    centre: Array
    size: Array
    yaw: Array
    pitch: Array
    roll: Array
    curve: Array
    opening: Array
    wide: Array
    lift: Array
    tilt: Array
    lids: Array

    def turned(self) -> Array:
        """(T, 3, 3) rotation from head coordinates to the screen's, before roll."""
        zero, one = np.zeros_like(self.yaw), np.ones_like(self.yaw)
        cy, sy, cp, sp = np.cos(self.yaw), np.sin(self.yaw), np.cos(self.pitch), np.sin(self.pitch)
        around = np.stack([np.stack(row, -1) for row in ((cy, zero, sy), (zero, one, zero), (-sy, zero, cy))], -2)
        nod = np.stack([np.stack(row, -1) for row in ((one, zero, zero), (zero, cp, sp), (zero, -sp, cp))], -2)
        return (around @ nod).astype(np.float32)


def pose(person: Person, frames: int, aspect: float, zoom: Array) -> Pose:
    """What `person` does in each frame; one frame shows the middle. `zoom` (T,) is the camera's."""
    t = np.linspace(0, 1, frames) if frames > 1 else np.array([0.5])
    turn = 2 * np.pi * (t + person.phase)
    side = 1.0 if person.phase < 0.5 else -1.0
    x, y = np.full_like(t, person.place[0]), np.full_like(t, person.place[1])
    yaw = np.full_like(t, 0.45 * np.sin(2 * np.pi * person.phase))
    pitch, roll = np.full_like(t, 0.08 * np.cos(9 * person.phase)), np.full_like(t, 0.06 * np.sin(13 * person.phase))
    curve, opening, wide = (np.full_like(t, value) for value in MOUTHS[person.expression])
    lift, tilt = (np.full_like(t, value) for value in BROWS[person.expression])
    match person.motion:
        case "turn":
            yaw = side * 0.62 * np.sin(np.pi * (t - 0.5))
        case "nod":
            pitch = 0.30 * np.sin(2 * turn)
        case "talk":
            opening = np.clip(opening + 0.30 + 0.45 * np.sin(3 * turn), 0, 1)
            wide = wide * (1 - 0.14 * np.cos(4 * turn))
        case "look around":
            yaw, pitch = 0.55 * np.sin(turn), 0.22 * np.cos(turn)
        case "left" | "right":
            way = 1.0 if person.motion == "right" else -1.0
            x, yaw = way * 0.5 * (2 * t - 1), np.full_like(t, 0.42 * way)
            y = y + 0.02 * np.sin(3 * turn)
        case "sway":
            roll = 0.20 * np.sin(turn)
            x = x + 0.12 * np.sin(turn)
    lids = LIDS[person.expression] * (1 - 0.92 * np.exp(-(((t - (0.2 + 0.6 * person.phase)) / 0.045) ** 2)) * (frames > 1))
    centre = np.stack([x * aspect, y], 1)
    values = (centre, person.size * zoom, yaw, pitch, roll, curve, opening, wide, lift, tilt, lids)
    return Pose(*(np.asarray(value, np.float32) for value in values))


def narrowing(who: Identity, height: Array) -> Array:
    """Half the head's width at `height` -1 (chin) .. 1 (crown), in half head heights."""
    low = np.clip(-height, 0, 1)
    return (who.width * (1 - who.jaw * low * low * (3 - 2 * low))).astype(np.float32)


def to_screen(who: Identity, pose: Pose, points: Array) -> Array:
    """(T, P, 2) screen positions of face coordinates (P, 2), or (T, P, 2) that move, on the front of the head."""
    sphere = _on_sphere(who, points)
    seen = np.einsum("tij,tpj->tpi", pose.turned(), np.broadcast_to(sphere, (len(pose.yaw), *sphere.shape[-2:])))
    u, v = seen[..., 0] * narrowing(who, seen[..., 1]), seen[..., 1]
    cos, sin = np.cos(pose.roll)[:, None], np.sin(pose.roll)[:, None]
    rolled = np.stack([u * cos - v * sin, u * sin + v * cos], -1)
    return (rolled * pose.size[:, None, None] + pose.centre[:, None]).astype(np.float32)


def _on_sphere(who: Identity, points: Array) -> Array:
    """(..., 3) unit directions of face coordinates (..., 2)."""
    x, y = points[..., 0] / who.width, points[..., 1]
    return np.stack([x, y, np.sqrt(np.clip(1 - x * x - y * y, 0, 1))], -1).astype(np.float32)
