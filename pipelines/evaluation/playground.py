"""How good the playground's base models are, on held-out scenes: reconstruction, what the judge sees, motion, people, repeatability."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Protocol

import numpy as np

from pipelines.backbones.base import Backbone
from pipelines.evaluation.eyes import Eyes
from pipelines.evaluation.faces import Faces
from pipelines.evaluation.judge import Judge
from pipelines.evaluation.rows import Row
from pipelines.evaluation.segmenter import Segmenter, centroids
from pipelines.playground.render import render
from pipelines.playground.scene import HELD_OUT_SEEDS, Scene, caption, sample_scene

DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "rise": (0, -1), "fall": (0, 1)}
"""Motion -> sign of the subject's way in pixels (x to the right, y downwards)."""

NAMED = ("shape", "colour", "background")
"""Attributes that every caption names and the judge looks for."""

SUBJECTS = ("toys", "people")

Shape = tuple[int, int, int]
"""(frames, height, width)."""


class Draw(Protocol):
    """Generates with the model's default settings: (prompt, seed, frames or None for the default) -> (T, H, W, 3) uint8."""

    def __call__(self, prompt: str, seed: int, frames: int | None = None) -> np.ndarray: ...


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 clips of one shape; inf for equal ones."""
    error = np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def direction(track: np.ndarray) -> str | None:
    """Which way a track of pixel positions (T, 2) goes: "left", "right", "rise" or "fall", by the line laid through it.

    Frames without a position (NaN) are left out; None where fewer than two are left.
    """
    seen = np.isfinite(track).all(1)
    if seen.sum() < 2:
        return None
    slope = np.polyfit(np.flatnonzero(seen), track[seen], 1)[0]
    if abs(slope[0]) >= abs(slope[1]):
        return "right" if slope[0] > 0 else "left"
    return "fall" if slope[1] > 0 else "rise"


def directed_scenes() -> Iterator[Scene]:
    """Held-out scenes of one toy, camera at rest, going one of the four ways in turn."""
    for index, seed in enumerate(HELD_OUT_SEEDS):
        scene = replace(sample_scene(seed, "toy"), camera="static")
        toy = replace(scene.subjects[-1], motion=list(DIRECTIONS)[index % len(DIRECTIONS)])
        yield replace(scene, subjects=(toy,))


def person_scenes() -> Iterator[Scene]:
    """Held-out scenes of one person each."""
    return (sample_scene(seed, "person") for seed in HELD_OUT_SEEDS)


def way_of(scene: Scene, clip: np.ndarray, segmenter: Segmenter) -> str | None:
    """The direction of the scene's toy in `clip`, from the centroids of its text-conditioned masks."""
    toy = scene.labels()
    return direction(centroids(segmenter.masks(clip, f"a {toy['colour']} {toy['shape']}")))


def evaluate(
    name: str, backbone: Backbone, draw: Draw, shape: Shape, eyes: Eyes, count: int = 64, subjects: Sequence[str] = SUBJECTS
) -> Iterator[Row]:
    """The rows of model `name`, one by one, on `count` held-out captions of toys and half as many of people; those `eyes` can tell."""
    if "toys" in subjects:
        yield from _toys(name, backbone, draw, shape, eyes, count)
    if "people" in subjects and eyes.faces:
        yield _people(name, draw, max(4, count // 2), eyes.faces)


def _toys(name: str, backbone: Backbone, draw: Draw, shape: Shape, eyes: Eyes, count: int) -> Iterator[Row]:
    scenes = list(islice(directed_scenes(), count))
    yield Row.of(f"{name}: reconstruction of held-out clips, PSNR in dB", _round_trips(backbone, scenes, shape), bar=30)
    clips = [draw(caption(scene), seed) for seed, scene in enumerate(scenes)]
    if eyes.judge:
        yield from _attributes(name, draw, scenes, clips, eyes.judge)
    if eyes.segmenter:
        right = [way_of(scene, clip, eyes.segmenter) == scene.labels()["motion"] for scene, clip in zip(scenes, clips, strict=True)]
        yield Row.of(f"{name}: direction of motion right", right, bar=0.85)
    again = [np.array_equal(draw(caption(scenes[seed]), seed), clips[seed]) for seed in range(min(3, count))]
    yield Row.of(f"{name}: same caption and seed twice gives identical frames", again, bar=1)


def _attributes(name: str, draw: Draw, scenes: Sequence[Scene], clips: Sequence[np.ndarray], judge: Judge) -> Iterator[Row]:
    found = _found(scenes, clips, judge)
    for attribute in NAMED:
        yield Row.of(f"{name}: {attribute} of the caption found by the judge", found[attribute], bar=0.9)
    yield _single_frames(name, draw, scenes, found, judge)


def _round_trips(backbone: Backbone, scenes: Sequence[Scene], shape: Shape) -> list[float]:
    clips = (render(scene, *shape).frames for scene in scenes)
    return [psnr(clip, backbone.decode_video(backbone.encode_video(clip))) for clip in clips]


def _found(scenes: Sequence[Scene], clips: Sequence[np.ndarray], judge: Judge) -> dict[str, list[bool]]:
    """Attribute -> for each clip, whether the judge names what the scene has."""
    seen = [judge.attributes(clip) for clip in clips]
    return {
        attribute: [told[attribute][0] == scene.labels()[attribute] for told, scene in zip(seen, scenes, strict=True)]
        for attribute in NAMED
    }


def _single_frames(name: str, draw: Draw, scenes: Sequence[Scene], of_clips: dict[str, list[bool]], judge: Judge) -> Row:
    """How much better or worse single frames are named than clips of the same scenes, in points; the bar is a loss of 5."""
    pictures = [draw(caption(scene, moving=False), seed, 1) for seed, scene in enumerate(scenes)]
    of_pictures = _found(scenes, pictures, judge)
    points = [100.0 * (of_pictures[a][index] - of_clips[a][index]) for a in NAMED for index in range(len(scenes))]
    return Row.of(f"{name}: single frames against clips, attributes found, in points", points, bar=-5)


def _people(name: str, draw: Draw, count: int, faces: Faces) -> Row:
    clips = (draw(caption(scene), seed) for seed, scene in enumerate(islice(person_scenes(), count)))
    return Row.of(f"{name}: a face is found in clips of people", [faces.found(clip) for clip in clips], bar=0.95)
