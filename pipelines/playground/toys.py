"""A toy as a layer: a puffed-up, glossy shape with a pattern and, if it is a particular one, a marking."""

from __future__ import annotations

from functools import partial

import numpy as np

from pipelines.playground.backgrounds import View
from pipelines.playground.emblem import paint_emblem
from pipelines.playground.layers import Layer, to_pixels
from pipelines.playground.motion import Path, path
from pipelines.playground.paint import smoothstep
from pipelines.playground.shapes import OUTLINES
from pipelines.playground.subjects import Toy
from pipelines.playground.vocabulary import COLOURS

LIGHT = np.array([-0.42, 0.56, 0.72], np.float32)
LIGHT /= np.linalg.norm(LIGHT)
HALFWAY = LIGHT + np.array([0, 0, 1], np.float32)
HALFWAY /= np.linalg.norm(HALFWAY)


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
    """(T, H, W, 3) lit colour of a puffed-up, glossy toy, black off it; the light stays where it is when the toy turns."""
    there = np.flatnonzero(distance < 0.15)
    depth = distance.ravel()[there]
    colour = _paint(toy, local[..., 0].ravel()[there], local[..., 1].ravel()[there])
    steep = (1 - np.clip(-depth / 0.55, 0, 1)) ** 1.5
    right, up = _slope(distance, there)
    length = np.sqrt(up**2 + right**2) + 1e-6
    normal = np.stack([right / length * steep, up / length * steep, np.sqrt(np.maximum(1 - steep**2, 0.02))], -1)
    light = normal @ LIGHT
    gloss = np.clip(normal @ HALFWAY, 0, 1) ** 28
    lit = colour * (0.50 + 0.58 * np.clip(light, 0, 1))[..., None] + 0.40 * gloss[..., None]
    shaded = np.zeros((distance.size, 3), np.float32)
    shaded[there] = lit * (0.75 + 0.25 * smoothstep(0.0, 0.12, -depth))[..., None]
    return shaded.reshape(*distance.shape, 3)


def _slope(distance: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences of `distance` (T, H, W) to the right and upwards at the flat indices `where`."""
    frame, row, column = np.unravel_index(where, distance.shape)
    rows, columns = distance.shape[1:]
    right = distance[frame, row, np.minimum(column + 1, columns - 1)] - distance[frame, row, np.maximum(column - 1, 0)]
    up = distance[frame, np.maximum(row - 1, 0), column] - distance[frame, np.minimum(row + 1, rows - 1), column]
    return right, up


def _paint(toy: Toy, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(..., 3) unlit colour at toy coordinates: pattern, then marking."""
    base = np.array(COLOURS[toy.colour], np.float32)
    second = base * 0.45 if base.mean() > 0.62 else base * 0.3 + 0.7
    colour = base + (second - base) * _pattern(toy.pattern, u, v)[..., None]
    return colour if toy.emblem is None else paint_emblem(colour, toy.shape, toy.emblem, toy.colour, u, v)


def _pattern(name: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(...) share of the second colour at toy coordinates."""
    match name:
        case "striped":
            return smoothstep(-0.25, 0.25, np.sin((u + 0.35 * v) * 9.5))
        case "dotted":
            return 1 - smoothstep(0.13, 0.19, np.hypot((u + 5) % 0.52 - 0.26, (v + 5) % 0.52 - 0.26))
        case "checkered":
            return smoothstep(-0.12, 0.12, np.sin(u * 6.8) * np.sin(v * 6.8))
    return np.zeros_like(u)
