"""`render`: a scene becomes frames with exact ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.playground.backgrounds import PAINTERS, View
from pipelines.playground.effects import Stage, apply_effects
from pipelines.playground.layers import SAMPLES, Layer, to_pixels
from pipelines.playground.motion import camera
from pipelines.playground.scene import Person, Scene, Toy, caption
from pipelines.playground.toys import toy_layer

NEAR = 0.4
"""Difference of surface coordinates up to which a pixel shows the point that lies there; beyond, something is before it."""


@dataclass(frozen=True)
class Rendering:
    """A rendered scene and everything that is true of it; N subjects in painter's order, T frames of H x W pixels.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        masks: (N, T, H, W) float32 0..1, visible coverage of each subject. Smoke, rain and the like in front of a subject do
            not change it; what is under water is not visible.
        surface: (N, T, H, W, 2) float32 surface coordinates of the visible subject, NaN elsewhere.
        tracks: (N, T, P, 2) float32 pixel positions (x, y) of P surface points of each subject.
        visible: (N, T, P) bool, whether the point lies in the frame, not covered by others or by its own subject.
        points: (N, P, 2) float32 surface coordinates of the tracked points; NaN (and never visible) where a subject has fewer.
        landmarks: (N, T, 5, 2) float32 pixel positions of left eye, right eye, nose, left and right corner of the mouth as seen
            in the picture; NaN for toys.
        faces: (N, T, 4) float32 boxes x1, y1, x2, y2 in pixels around the face; NaN for toys.
        depth: (N,) int64, 0 for the subject in front, then 1, 2, ...
        caption: the scene in words.
        labels: attribute -> name.
    """

    frames: np.ndarray
    masks: np.ndarray
    surface: np.ndarray
    tracks: np.ndarray
    visible: np.ndarray
    points: np.ndarray
    landmarks: np.ndarray
    faces: np.ndarray
    depth: np.ndarray
    caption: str
    labels: dict[str, str]


def render(scene: Scene, frames: int = 17, height: int = 64, width: int = 64) -> Rendering:
    """Draw `scene` with `frames` frames of `height` x `width` pixels; pure, the same scene gives the same pixels."""
    view = _view(scene, frames, height, width)
    canvas = PAINTERS[scene.background](view.first() if scene.camera == "static" else view)
    layers = [_layer(subject, view, frames, width / height) for subject in scene.subjects]
    for layer in layers:
        canvas = canvas * (1 - layer.shadow[..., None])
        canvas += (layer.colour - canvas) * layer.coverage[..., None]
    masks, surfaces = _visible(layers)
    stage = Stage.of(scene, masks, view.zoom)
    picture, hidden = apply_effects(scene.effects, _shrink(canvas), stage)
    masks = masks * (1 - hidden)
    surfaces[masks < 0.5] = np.nan
    points = _points(layers)
    tracks = np.stack([layer.project(own, height, width) for layer, own in zip(layers, points, strict=True)])
    return Rendering(
        frames=np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8),
        masks=masks,
        surface=surfaces,
        tracks=tracks,
        visible=_seen(tracks, points, layers, masks, surfaces),
        points=points,
        landmarks=np.stack([_landmarks(layer, frames, height, width) for layer in layers]),
        faces=np.stack([_face(layer, frames, height, width) for layer in layers]),
        depth=np.arange(len(layers))[::-1].copy(),
        caption=caption(scene),
        labels=scene.labels(),
    )


def _layer(subject: Toy | Person, view: View, frames: int, aspect: float) -> Layer:
    if isinstance(subject, Toy):
        return toy_layer(subject, view, frames, aspect)
    from pipelines.playground.people.layer import person_layer

    return person_layer(subject, view, frames, aspect)


def _view(scene: Scene, frames: int, height: int, width: int) -> View:
    rows, columns = height * SAMPLES, width * SAMPLES
    y = 1 - (np.arange(rows, dtype=np.float32) + 0.5) * 2 / rows
    x = ((np.arange(columns, dtype=np.float32) + 0.5) * 2 / columns - 1) * width / height
    shift, zoom = (values.astype(np.float32)[:, None, None] for values in camera(scene, frames))
    grid_x, grid_y = np.broadcast_to(x, (frames, rows, columns)), np.broadcast_to(y[:, None], (frames, rows, columns))
    return View(grid_x, grid_y, shift, zoom, 2 / rows, scene.seed)


def _visible(layers: list[Layer]) -> tuple[np.ndarray, np.ndarray]:
    """What is left of each layer under those in front of it, at pixel size: coverage and surface coordinates."""
    masks, surfaces, free = [], [], np.ones_like(layers[0].coverage)
    for layer in reversed(layers):
        seen = layer.coverage * free
        free = free * (1 - layer.coverage)
        mask = _shrink(seen[..., None])[..., 0]
        surface = np.where(_torn(layer.local)[..., None], np.nan, _shrink(layer.local))
        masks.append(mask)
        surfaces.append(np.where(mask[..., None] > 0.5, surface, np.nan))
    return np.stack(masks[::-1]), np.stack(surfaces[::-1]).astype(np.float32)


def _torn(local: np.ndarray) -> np.ndarray:
    """(T, H, W) bool: the samples of a pixel lie on parts of the surface that do not touch, so that it has no one place."""
    down = np.abs(local[:, 0::SAMPLES] - local[:, SAMPLES - 1 :: SAMPLES])
    across = np.maximum(down[:, :, 0::SAMPLES], down[:, :, SAMPLES - 1 :: SAMPLES])
    return (across > 1).any(-1)


def _shrink(image: np.ndarray) -> np.ndarray:
    """Mean over the samples of each pixel."""
    offsets = [(i, j) for i in range(SAMPLES) for j in range(SAMPLES)]
    return sum(image[:, i::SAMPLES, j::SAMPLES] for i, j in offsets) / np.float32(SAMPLES**2)


def _points(layers: list[Layer]) -> np.ndarray:
    """(N, P, 2) the layers' points, filled up with NaN to the same number."""
    most = max(len(layer.points) for layer in layers)
    filled = np.full((len(layers), most, 2), np.nan, np.float32)
    for row, layer in zip(filled, layers, strict=True):
        row[: len(layer.points)] = layer.points
    return filled


def _seen(tracks: np.ndarray, points: np.ndarray, layers: list[Layer], masks: np.ndarray, surfaces: np.ndarray) -> np.ndarray:
    """(N, T, P) bool: the point is on its subject, in the frame, and its pixel shows it."""
    height, width = masks.shape[-2:]
    there = np.isfinite(tracks).all(-1)
    column, row = (np.round(np.where(there, tracks[..., i], -9)).astype(int) for i in (0, 1))
    framed = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    on_subject = np.stack([layer.outline(own) for layer, own in zip(layers, points, strict=True)])[:, None]
    n, t = (axis[..., None] for axis in np.ogrid[: masks.shape[0], : masks.shape[1]])
    row, column = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
    shown = np.abs(surfaces[n, t, row, column] - points[:, None]).max(-1) < NEAR
    return there & framed & on_subject & shown & (masks[n, t, row, column] >= 0.5)


def _landmarks(layer: Layer, frames: int, height: int, width: int) -> np.ndarray:
    if layer.landmarks is None:
        return np.full((frames, 5, 2), np.nan, np.float32)
    return to_pixels(layer.landmarks, height, width)


def _face(layer: Layer, frames: int, height: int, width: int) -> np.ndarray:
    if layer.box is None:
        return np.full((frames, 4), np.nan, np.float32)
    return to_pixels(layer.box.reshape(frames, 2, 2), height, width).reshape(frames, 4)
