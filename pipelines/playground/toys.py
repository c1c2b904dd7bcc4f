"""A toy as a layer: a puffed-up, glossy shape with a pattern and, if it is a particular one, a marking."""

from __future__ import annotations

from functools import partial

import numpy as np

from pipelines.playground.backgrounds import View
from pipelines.playground.layers import Layer, to_pixels
from pipelines.playground.motion import Path, path
from pipelines.playground.paint import smoothstep
from pipelines.playground.shapes import OUTLINES
from pipelines.playground.subjects import Toy
from pipelines.playground.vocabulary import COLOURS

LIGHT = np.array([-0.42, 0.56, 0.72], np.float32)


def toy_layer(toy: Toy, view: View, frames: int, aspect: float) -> Layer:
    """The layer of `toy` in `frames` frames seen by `view`; `aspect` is width over height. Surface coordinates are toy coordinates."""
    pose = path(toy, frames)
    size = (toy.size * view.zoom[:, 0, 0])[:, None] * pose.stretch
    local = _to_local(view.x, view.y, pose, size, aspect)
    distance = OUTLINES[toy.shape](local[..., 0], local[..., 1]).astype(np.float32)
    scale = size.mean(1)[:, None, None].astype(np.float32)
    coverage = np.clip(0.5 - distance * scale / (1.5 * view.pixel), 0, 1)
    return Layer(
        coverage=coverage,
        shadow=_shadow(view, pose, size, aspect),
        colour=_shade(toy, local, distance),
        local=local,
        points=_points(),
        project=partial(_project, pose, size, aspect),
        outline=partial(_on_toy, toy.shape),
    )


def _points() -> np.ndarray:
    """(25, 2) toy coordinates of tracked points."""
    line = np.linspace(-0.6, 0.6, 5, dtype=np.float32)
    return np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)


def _on_toy(shape: str, points: np.ndarray) -> np.ndarray:
    return OUTLINES[shape](points[:, 0], points[:, 1]) < 0


def _project(pose: Path, size: np.ndarray, aspect: float, points: np.ndarray, height: int, width: int) -> np.ndarray:
    """(T, P, 2) pixel positions of toy coordinates (P, 2)."""
    scaled = points[None] * size[:, None]
    cos, sin = np.cos(pose.angle)[:, None], np.sin(pose.angle)[:, None]
    x = scaled[..., 0] * cos - scaled[..., 1] * sin + pose.position[:, :1] * aspect
    y = scaled[..., 0] * sin + scaled[..., 1] * cos + pose.position[:, 1:]
    return to_pixels(np.stack([x, y], -1), height, width)


def _to_local(x, y, pose: Path, size: np.ndarray, aspect: float) -> np.ndarray:
    """(T, H, W, 2) toy coordinates of screen points."""
    x = x - (pose.position[:, 0] * aspect)[:, None, None].astype(np.float32)
    y = y - pose.position[:, 1][:, None, None].astype(np.float32)
    cos, sin = (f(pose.angle).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
    wide, tall = (size[:, i, None, None].astype(np.float32) for i in (0, 1))
    return np.stack([(x * cos + y * sin) / wide, (-x * sin + y * cos) / tall], -1)


def _shadow(view: View, pose: Path, size: np.ndarray, aspect: float) -> np.ndarray:
    """A soft contact shadow on the floor below the toy, fainter the higher it is."""
    centre, radius = (pose.position[:, 0] * aspect)[:, None, None], size[:, 0][:, None, None]
    height = np.maximum(pose.position[:, 1] - size[:, 1] + 0.85, 0)[:, None, None]
    spread = np.hypot((view.x - centre) / (radius * (1 + 0.4 * height)), (view.y + 0.86) / (0.22 * radius))
    return (0.42 * np.exp(-1.2 * height) * (1 - smoothstep(0.35, 1.15, spread))).astype(np.float32)


def _shade(toy: Toy, local: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) lit colour of a puffed-up, glossy toy; the light stays where it is when the toy turns."""
    colour = _paint(toy, local[..., 0], local[..., 1])
    up, right = -np.gradient(distance, axis=1), np.gradient(distance, axis=2)
    length = np.sqrt(up**2 + right**2) + 1e-6
    slope = 1 - np.clip(-distance / 0.55, 0, 1)
    steep = slope**1.5
    normal = np.stack([right / length * steep, up / length * steep, np.sqrt(np.maximum(1 - steep**2, 0.02))], -1)
    light = normal @ (LIGHT / np.linalg.norm(LIGHT))
    half = LIGHT / np.linalg.norm(LIGHT) + np.array([0, 0, 1])
    gloss = np.clip(normal @ (half / np.linalg.norm(half)), 0, 1) ** 28
    lit = colour * (0.50 + 0.58 * np.clip(light, 0, 1))[..., None] + 0.40 * gloss[..., None]
    rim = 0.75 + 0.25 * smoothstep(0.0, 0.12, -distance)
    return (lit * rim[..., None]).astype(np.float32)


def _paint(toy: Toy, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) unlit colour with the pattern in toy coordinates."""
    base = np.array(COLOURS[toy.colour], np.float32)
    second = base * 0.45 if base.mean() > 0.62 else base * 0.3 + 0.7
    match toy.pattern:
        case "striped":
            amount = smoothstep(-0.25, 0.25, np.sin((u + 0.35 * v) * 9.5))
        case "dotted":
            amount = 1 - smoothstep(0.13, 0.19, np.hypot((u + 5) % 0.52 - 0.26, (v + 5) % 0.52 - 0.26))
        case "checkered":
            amount = smoothstep(-0.12, 0.12, np.sin(u * 6.8) * np.sin(v * 6.8))
        case _:
            return np.broadcast_to(base, (*u.shape, 3))
    return base + (second - base) * amount[..., None]
