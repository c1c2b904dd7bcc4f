"""Markings that make a toy this one and no other."""

from __future__ import annotations

EMBLEM_PLACE: dict[str, tuple[float, float, float]] = {
    "ball": (0.0, 0.0, 0.52),
    "cube": (0.0, 0.0, 0.54),
    "star": (0.0, -0.03, 0.45),
    "heart": (0.0, 0.1, 0.5),
    "pyramid": (0.0, -0.27, 0.45),
    "diamond": (0.0, 0.06, 0.48),
    "flower": (0.0, 0.0, 0.5),
    "drop": (0.0, -0.28, 0.47),
    "mushroom": (0.0, 0.36, 0.42),
    "fish": (0.22, 0.0, 0.44),
}
"""Shape -> centre (x, y) and radius of the marking in toy coordinates; shapes with a hole where it would be carry none."""
