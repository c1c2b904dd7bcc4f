"""Prompts that say where the subject is that the reference picture shows (section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.methods.zero_shot_subject.words import CLS, named
from pipelines.playground.captions import caption
from pipelines.playground.scene import Scene
from pipelines.playground.vocabulary import EFFECTS, PLACES

NOUNS = ("{}", "{}", "{}", "toy {}", "toy")
"""What a toy of a shape is called, and how often."""


def captions(scene: Scene) -> tuple[str, str]:
    """Of a scene of one toy, seen as a single frame: all that the world has to say, and the same without colour and pattern.

    Where the words tell what a toy looks like there is no need to look at its picture.
    """
    full, shape = caption(scene, moving=False), scene.subjects[-1].shape
    return named(full, f"toy {shape}" if f"toy {shape}" in full else shape), without_looks(scene)


def without_looks(scene: Scene) -> str:
    """Shape, place and effects of a scene of one toy, in words that vary with its seed."""
    draw = np.random.default_rng((183, scene.seed))
    who = f"a {CLS} {_say(draw, NOUNS).format(scene.subjects[-1].shape)}"
    around = [_say(draw, PLACES[scene.background]), *(_say(draw, EFFECTS[effect]) for effect in scene.effects)]
    return " ".join([who, *around])


def _say(draw: np.random.Generator, ways: Sequence[str]) -> str:
    return ways[int(draw.integers(len(ways)))]
