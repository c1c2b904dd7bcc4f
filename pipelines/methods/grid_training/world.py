"""Concepts of the playground: one subject in one motion, seen under several effects and in other places; and two brought together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pipelines.playground.render import Rendering, render
from pipelines.playground.scene import TRAIN_SEEDS, Scene, caption, sample_scene
from pipelines.playground.subjects import Toy
from pipelines.playground.vocabulary import EFFECTS, PLACES

FIRST_CONCEPT, FIRST_PAIR = 300_000, 400_000
"""Numbers of training seeds that no other training begins with."""

KINDS = {"toy": 0.35, "instance": 0.35, "person": 0.3}
EFFECTS_EACH = 4
"""Variants of a concept: as it is, under so many effects, and in another place."""

VARIANTS = EFFECTS_EACH + 2
TWO_AT_ONCE = 0.25
"""How often the last of the effects comes with another one, such as purple light with smoke."""


class Variant(NamedTuple):
    """A clip of a concept and its words: all of them, and those alone that tell it from the others."""

    scene: Scene
    full: str
    brief: str

    def render(self, frames: int, height: int, width: int) -> Rendering:
        """Its pixels and what is true of them."""
        return render(self.scene, frames, height, width)


def concept_of(number: int) -> list[Variant]:
    """Training concept number `number`, VARIANTS of it."""
    draw = np.random.default_rng((201, number))
    kind = str(draw.choice(list(KINDS), p=list(KINDS.values())))
    scene = replace(sample_scene(TRAIN_SEEDS[FIRST_CONCEPT + number], kind), effects=())
    return [variant(draw, scene, other) for other in (scene, *under_effects(draw, scene), elsewhere(draw, scene))]


def under_effects(draw: np.random.Generator, scene: Scene) -> list[Scene]:
    """The scene under EFFECTS_EACH different effects."""
    names = [str(name) for name in draw.permutation(list(EFFECTS))]
    chosen = [(name,) for name in names[:EFFECTS_EACH]]
    if draw.uniform() < TWO_AT_ONCE:
        chosen[-1] = (*chosen[-1], names[EFFECTS_EACH])
    return [replace(scene, effects=effects) for effects in chosen]


def elsewhere(draw: np.random.Generator, scene: Scene) -> Scene:
    """The scene in another place."""
    return replace(scene, background=str(draw.choice([place for place in PLACES if place != scene.background])))


def variant(draw: np.random.Generator, scene: Scene, other: Scene) -> Variant:
    """`other`, a variant of `scene`, with its words."""
    return Variant(other, caption(other), brief_words(draw, other, other.background != scene.background))


def brief_words(draw: np.random.Generator, scene: Scene, place: bool) -> str:
    """The effects of `scene` in words, and its place if asked for or if there is nothing else to say."""
    said = [str(draw.choice(EFFECTS[name])) for name in scene.effects]
    return " ".join([str(draw.choice(PLACES[scene.background])), *said] if place or not said else said)


def pair_of(number: int) -> list[Variant]:
    """A composition: two toys, each in its own scene, and both together in the place of the first and in that of the second."""
    draw = np.random.default_rng((202, number))
    first, second = (replace(sample_scene(TRAIN_SEEDS[FIRST_PAIR + 2 * number + own], "toy"), effects=()) for own in (0, 1))
    together = side_by_side([scene.subjects[-1] for scene in (first, second)])
    fusions = [replace(scene, subjects=together, camera="static") for scene in (first, second)]
    return [variant(draw, scene, scene) for scene in (first, second, *fusions)]


def side_by_side(toys: Sequence[Toy]) -> tuple[Toy, ...]:
    """Two toys small enough and apart, each in its motion."""
    return tuple(replace(toy, size=0.36, place=(place, -0.1), reach=0.45) for toy, place in zip(toys, (-0.45, 0.45), strict=True))
