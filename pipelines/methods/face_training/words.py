"""Captions that leave a face to be told by its picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.playground.captions import caption
from pipelines.playground.scene import Scene
from pipelines.playground.vocabulary import CAMERAS, EFFECTS, EXPRESSIONS, PERSON_MOTIONS, PLACES, WEARING


def captions(scene: Scene, moving: bool) -> tuple[str, str]:
    """Of a scene of one person: all that the world has to say, and the same without what lasts of the person (hair, glasses, beard).

    A prompt that goes with a photograph says nothing of what the photograph shows, and where the words tell the hair there is no
    need to learn it from the face.

    Args:
        moving: with motion and camera.
    """
    return caption(scene, moving=moving), without_looks(scene, moving)


def without_looks(scene: Scene, moving: bool) -> str:
    """Expression, motion, clothes, place, effects and camera of a scene of one person, in words that vary with its seed."""
    draw, person = np.random.default_rng((173, scene.seed)), scene.subjects[-1]
    acts = [_say(draw, EXPRESSIONS[person.expression]), _say(draw, PERSON_MOTIONS[person.motion]) if moving else ""]
    who = [_say(draw, ("a person", "someone")), " and ".join(act for act in acts if act)]
    around = [_say(draw, PLACES[scene.background]), *(_say(draw, EFFECTS[effect]) for effect in scene.effects)]
    clothes, camera = [_say(draw, WEARING).format(person.clothes)], _say(draw, CAMERAS[scene.camera]) if moving else ""
    parts = [*who, *clothes, *around] if draw.uniform() < 0.5 else [*who, *around, *clothes]
    text = " ".join(part for part in parts if part)
    return f"{text}, {camera}" if camera else text


def _say(draw: np.random.Generator, ways: Sequence[str]) -> str:
    return ways[int(draw.integers(len(ways)))]
