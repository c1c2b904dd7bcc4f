"""Where a toy is over time: position, angle and stretch, from the motion's name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.playground.scene import Scene
from pipelines.playground.subjects import Toy

REACH = 0.42
"""Half the length of a path, as a fraction of half the frame size."""


@dataclass(frozen=True)
class Path:
    """A toy's pose in T frames.

    Attributes:
        position: (T, 2) centre, x in units of half the frame width, y of half the height, y up.
        angle: (T,) radians, counter-clockwise.
        stretch: (T, 2) factors on the toy's size along its own axes.
    """

    position: np.ndarray
    angle: np.ndarray
    stretch: np.ndarray


def path(toy: Toy, frames: int) -> Path:
    """The pose of `toy` in each of `frames` frames; one frame shows the middle of the motion."""
    t = np.linspace(0, 1, frames) if frames > 1 else np.array([0.5])
    x, y = np.full_like(t, toy.place[0]), np.full_like(t, toy.place[1])
    angle, wide, tall = np.zeros_like(t), np.ones_like(t), np.ones_like(t)
    turn = 2 * np.pi * (t + toy.phase)
    sweep = toy.reach * REACH * (2 * t - 1)
    floor = toy.size - 0.82
    match toy.motion:
        case "left":
            x, angle = x - sweep, 0.12 * np.sin(2 * turn)
        case "right":
            x, angle = x + sweep, 0.12 * np.sin(2 * turn)
        case "rise":
            y = y + sweep
        case "fall":
            y = y - sweep
        case "bounce":
            height = np.abs(np.sin(np.pi * (2 * t + toy.phase)))
            y = floor + 0.75 * height
            tall = 1 - 0.22 * np.exp(-8 * height)
            wide = 2 - tall
        case "jump":
            air = np.clip((t - 0.2) / 0.6, 0, 1)
            y = floor + 3.2 * air * (1 - air)
            tall = 1 - 0.2 * np.exp(-(((t - 0.12) / 0.07) ** 2)) - 0.2 * np.exp(-(((t - 0.86) / 0.06) ** 2))
            wide = 2 - tall
        case "spin":
            angle = turn * 1.25
        case "zigzag":
            x = x + sweep
            y = y + 0.34 * (2 * np.abs((2 * t + toy.phase) % 1 * 2 - 1) - 1)
        case "circle":
            x, y = x + toy.reach * 0.42 * np.cos(turn), y + toy.reach * 0.4 * np.sin(turn)
        case "swing":
            x = x + toy.reach * 0.48 * np.sin(turn)
            y = y + 0.25 * np.sin(turn) ** 2
            angle = 0.6 * np.sin(turn)
        case "grow":
            wide = tall = 0.5 + 0.85 * t
    return Path(np.stack([x, y], 1), angle, np.stack([wide, tall], 1))


def camera(scene: Scene, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """(T,) shift of the view to the right in half frame heights, and (T,) magnification."""
    t = np.linspace(0, 1, frames) if frames > 1 else np.array([0.5])
    still = np.zeros_like(t)
    match scene.camera:
        case "pan left":
            return -0.8 * (t - 0.5), still + 1
        case "pan right":
            return 0.8 * (t - 0.5), still + 1
        case "zoom in":
            return still, 1 + 0.4 * t
        case "zoom out":
            return still, 1.4 - 0.4 * t
    return still, still + 1
