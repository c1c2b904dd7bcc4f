"""Toys and clips of the playground to be learnt from: one marked toy in several contexts, and clips of anything."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pipelines.methods.subject_training.words import captions
from pipelines.playground.render import render
from pipelines.playground.scene import TRAIN_INSTANCES, TRAIN_SEEDS, Scene, caption, instance, sample_scene, still
from pipelines.playground.train.stills import look

FIRST_TOY, FIRST_VIEW, FIRST_CLIP = 20_000, 700_000, 800_000
VIEWS = 4
"""Pictures of each toy: twelve pairs of one as reference and another as target."""

FRAMES = 17
MOMENTS = 4
"""Single frames kept of a clip, drawn uniformly, beside its first."""

LARGE = 0.2
"""Share of toys and clips in 96 x 96 px, the rest in 64 x 64."""

JITTER = 8
"""One part in so many of a picture's sides is cut off at random (the paper's random-crop jitter per view)."""

POSED = 0.5
"""Share of the pictures that show a toy in the middle of a motion, the rest at rest."""


class View(NamedTuple):
    """A picture: frames (1, H, W, 3) uint8, masks (1, H, W) 0..1 of the toy, and its two captions, see `captions`."""

    frames: np.ndarray
    masks: np.ndarray
    words: tuple[str, str]


class Clip(NamedTuple):
    """frames (T, H, W, 3) uint8, masks (T, H, W) 0..1 of all subjects, the caption, and which frames may be references."""

    frames: np.ndarray
    masks: np.ndarray
    words: str
    moments: tuple[int, ...]


def views_of(toy: int) -> list[View]:
    """VIEWS pictures of training toy number `toy`: place, pose, light and crop are drawn anew in each."""
    draw = np.random.default_rng((181, toy))
    side = _side(draw)
    subject = instance(TRAIN_INSTANCES[FIRST_TOY + toy])
    scenes = [sample_scene(TRAIN_SEEDS[FIRST_VIEW + VIEWS * toy + number], "instance") for number in range(VIEWS)]
    return [_view(replace(scene, subjects=(replace(scene.subjects[-1], **look(subject)),)), side, draw) for scene in scenes]


def _view(scene: Scene, side: int, draw: np.random.Generator) -> View:
    shown = scene if draw.uniform() < POSED else still(scene)
    large = side + side // JITTER
    rendering = render(shown, 1, large, large)
    top, left = (int(offset) for offset in draw.integers(large - side + 1, size=2))
    window = np.s_[:, top : top + side, left : left + side]
    return View(rendering.frames[window], rendering.masks[-1][window], captions(shown))


def clip_of(number: int) -> Clip:
    """Training clip `number`, of any kind of scene."""
    draw = np.random.default_rng((182, number))
    side, scene = _side(draw), sample_scene(TRAIN_SEEDS[FIRST_CLIP + number])
    rendering = render(scene, FRAMES, side, side)
    moments = (0, *(int(moment) for moment in draw.integers(FRAMES, size=MOMENTS)))
    return Clip(rendering.frames, rendering.masks.max(0), caption(scene), moments)


def _side(draw: np.random.Generator) -> int:
    return 96 if draw.uniform() < LARGE else 64
