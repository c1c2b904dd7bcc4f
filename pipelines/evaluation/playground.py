"""How good the playground's base models are: reconstruction, repeatability and direction of motion on held-out scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from pipelines.backbones.base import Backbone
from pipelines.evaluation.rows import Row
from pipelines.playground.render import render
from pipelines.playground.scene import HELD_OUT_SEEDS, Scene, caption, sample_scene

DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "rise": (0, -1), "fall": (0, 1)}
"""Motion -> sign of the subject's way in pixels (x to the right, y downwards)."""

Draw = Callable[[str, int], np.ndarray]
"""(prompt, seed) -> frames (T, H, W, 3) uint8."""


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 clips of one shape; inf for equal ones."""
    error = np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def direction(frames: np.ndarray) -> str:
    """Which way the moving thing of a clip (T, H, W, 3) goes, "left", "right", "rise" or "fall".

    For a resting camera: what differs from the median over time is the subject; a line is laid through its centroids.
    """
    clip = frames.astype(np.float32)
    change = np.abs(clip - np.median(clip, axis=0)).sum(-1)
    change *= change > 0.35 * change.max()
    weight = change.sum((1, 2)) + 1e-6
    rows, columns = np.mgrid[: frames.shape[1], : frames.shape[2]]
    centroids = np.stack([(change * axis).sum((1, 2)) / weight for axis in (columns, rows)], 1)
    time = np.arange(len(frames))
    slope = [np.polyfit(time, centroids[:, axis], 1, w=np.sqrt(weight))[0] for axis in (0, 1)]
    if abs(slope[0]) >= abs(slope[1]):
        return "right" if slope[0] > 0 else "left"
    return "fall" if slope[1] > 0 else "rise"


def directed_scenes() -> Iterator[Scene]:
    """Held-out scenes, camera at rest, the subject going one of the four ways in turn."""
    for index, seed in enumerate(HELD_OUT_SEEDS):
        scene = replace(sample_scene(seed), camera="static")
        toy = replace(scene.subjects[-1], motion=list(DIRECTIONS)[index % len(DIRECTIONS)])
        yield replace(scene, subjects=(toy,))


def evaluate(backbone: Backbone, draw: Draw, size: tuple[int, int, int], count: int = 64) -> Iterator[Row]:
    """The rows one by one. `size` is (frames, height, width); `draw` generates with the model's default settings."""
    scenes = list(islice(directed_scenes(), count))
    real = [render(scene, *size).frames for scene in scenes]
    trips = [psnr(clip, backbone.decode_video(backbone.encode_video(clip))) for clip in real]
    yield Row.of("VAE reconstruction of held-out clips, PSNR in dB", trips, bar=30)
    right = [direction(clip) == scene.labels()["motion"] for clip, scene in zip(real, scenes, strict=True)]
    yield Row.of("direction of motion told right on real renderings", right, bar=0.97)
    words = [caption(scene) for scene in scenes]
    clips = [draw(prompt, seed) for seed, prompt in enumerate(words)]
    right = [direction(clip) == scene.labels()["motion"] for clip, scene in zip(clips, scenes, strict=True)]
    yield Row.of("direction of motion right in generated clips", right, bar=0.85)
    again = [np.array_equal(draw(words[seed], seed), clips[seed]) for seed in range(min(3, count))]
    yield Row.of("same caption and seed twice gives identical frames", again, bar=1)
