"""`render`: a scene becomes frames with exact ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.playground.backgrounds import PAINTERS, View
from pipelines.playground.motion import Path, camera, path
from pipelines.playground.paint import over, smoothstep
from pipelines.playground.scene import Scene, Toy, caption
from pipelines.playground.shapes import OUTLINES
from pipelines.playground.vocabulary import COLOURS

LIGHT = np.array([-0.42, 0.56, 0.72], np.float32)
SAMPLES = 2
"""Samples per pixel along each axis."""


@dataclass(frozen=True)
class Rendering:
    """A rendered scene and everything that is true of it.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        masks: (N, T, H, W) float32 0..1, visible coverage of each subject, in painter's order.
        surface: (N, T, H, W, 2) float32 toy coordinates of the visible surface, NaN elsewhere.
        tracks: (N, T, P, 2) float32 pixel positions (x, y) of P surface points of each subject.
        visible: (N, T, P) bool, whether the point lies in the frame, unoccluded.
        points: (P, 2) toy coordinates of the tracked points.
        caption: the scene in words; labels: attribute -> name.
    """

    frames: np.ndarray
    masks: np.ndarray
    surface: np.ndarray
    tracks: np.ndarray
    visible: np.ndarray
    points: np.ndarray
    caption: str
    labels: dict[str, str]


def render(scene: Scene, frames: int = 17, height: int = 64, width: int = 64) -> Rendering:
    """Draw `scene` with `frames` frames of `height` x `width` pixels; pure, the same scene gives the same pixels."""
    view = _view(scene, frames, height, width)
    canvas = PAINTERS[scene.background](view.first() if scene.camera == "static" else view)
    layers = [_Layer.of(toy, view, frames, width / height) for toy in scene.subjects]
    for layer in layers:
        canvas = over(canvas, (0, 0, 0), layer.shadow)
        canvas = over(canvas, layer.colour, layer.coverage)
    masks, surfaces = _visible(layers)
    points = _points()
    tracks = np.stack([layer.project(points, height, width) for layer in layers])
    pixels = np.round(np.clip(_shrink(canvas), 0, 1) * 255).astype(np.uint8)
    return Rendering(pixels, masks, surfaces, tracks, _seen(tracks, points, scene, masks), points, caption(scene), scene.labels())


def _view(scene: Scene, frames: int, height: int, width: int) -> View:
    rows, columns = height * SAMPLES, width * SAMPLES
    y = 1 - (np.arange(rows, dtype=np.float32) + 0.5) * 2 / rows
    x = ((np.arange(columns, dtype=np.float32) + 0.5) * 2 / columns - 1) * width / height
    shift, zoom = (values.astype(np.float32)[:, None, None] for values in camera(scene, frames))
    grid_x, grid_y = np.broadcast_to(x, (frames, rows, columns)), np.broadcast_to(y[:, None], (frames, rows, columns))
    return View(grid_x, grid_y, shift, zoom, 2 / rows, scene.seed)


@dataclass(frozen=True)
class _Layer:
    """One subject on the sampling grid: opacity, shadow, colour, toy coordinates, and the pose they came from."""

    coverage: np.ndarray
    shadow: np.ndarray
    colour: np.ndarray
    local: np.ndarray
    pose: Path
    size: np.ndarray
    aspect: float

    @staticmethod
    def of(toy: Toy, view: View, frames: int, aspect: float) -> _Layer:
        pose = path(toy, frames)
        size = (toy.size * view.zoom[:, 0, 0])[:, None] * pose.stretch
        local = _to_local(view.x, view.y, pose, size, aspect)
        distance = OUTLINES[toy.shape](local[..., 0], local[..., 1]).astype(np.float32)
        scale = size.mean(1)[:, None, None].astype(np.float32)
        coverage = np.clip(0.5 - distance * scale / (1.5 * view.pixel), 0, 1)
        return _Layer(coverage, _shadow(view, pose, size, aspect), _shade(toy, local, distance), local, pose, size, aspect)

    def project(self, points: np.ndarray, height: int, width: int) -> np.ndarray:
        """(T, P, 2) pixel positions of toy coordinates (P, 2)."""
        scaled = points[None] * self.size[:, None]
        cos, sin = np.cos(self.pose.angle)[:, None], np.sin(self.pose.angle)[:, None]
        x = scaled[..., 0] * cos - scaled[..., 1] * sin + self.pose.position[:, :1] * self.aspect
        y = scaled[..., 0] * sin + scaled[..., 1] * cos + self.pose.position[:, 1:]
        return np.stack([(x / self.aspect + 1) * width / 2 - 0.5, (1 - y) * height / 2 - 0.5], -1).astype(np.float32)


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


def _visible(layers: list[_Layer]) -> tuple[np.ndarray, np.ndarray]:
    """What is left of each layer under those in front of it, at pixel size: coverage and surface coordinates."""
    masks, surfaces, free = [], [], np.ones_like(layers[0].coverage)
    for layer in reversed(layers):
        seen = layer.coverage * free
        free = free * (1 - layer.coverage)
        mask = _shrink(seen[..., None])[..., 0]
        surface = _shrink(layer.local)
        masks.append(mask)
        surfaces.append(np.where(mask[..., None] > 0.5, surface, np.nan))
    return np.stack(masks[::-1]), np.stack(surfaces[::-1]).astype(np.float32)


def _shrink(image: np.ndarray) -> np.ndarray:
    """Mean over the samples of each pixel."""
    frames, rows, columns, channels = image.shape
    return image.reshape(frames, rows // SAMPLES, SAMPLES, columns // SAMPLES, SAMPLES, channels).mean((2, 4))


def _points() -> np.ndarray:
    """(25, 2) toy coordinates of tracked points."""
    line = np.linspace(-0.6, 0.6, 5, dtype=np.float32)
    return np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)


def _seen(tracks: np.ndarray, points: np.ndarray, scene: Scene, masks: np.ndarray) -> np.ndarray:
    """(N, T, P) bool: the point is on the toy, in the frame and not covered."""
    height, width = masks.shape[-2:]
    column, row = np.round(tracks[..., 0]).astype(int), np.round(tracks[..., 1]).astype(int)
    framed = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    on_toy = np.stack([OUTLINES[toy.shape](points[:, 0], points[:, 1]) < 0 for toy in scene.subjects])[:, None]
    n, t = (axis[..., None] for axis in np.ogrid[: masks.shape[0], : masks.shape[1]])
    covered = masks[n, t, np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)] < 0.5
    return framed & on_toy & ~covered
