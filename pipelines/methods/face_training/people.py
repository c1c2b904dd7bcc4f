"""People of the playground to be learnt from: where each is shown, and the pictures that the face is taken from.

The world can do what Lynx needs other models for (section 4): the same frame with another expression, in another light and at
another place is one more rendering.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pipelines.playground.render import Rendering, render
from pipelines.playground.scene import TRAIN_IDENTITIES, TRAIN_SEEDS, Scene, sample_scene, still
from pipelines.playground.train.faces.pictures import showing
from pipelines.playground.vocabulary import EXPRESSIONS, PLACES

FIRST_IDENTITY = 10_000
"""People before this one were shown to the recognisers while they learnt, which know them better than anybody they will meet."""

FIRST_SCENE = 600_000
STILLS = 3
"""Scenes at rest that each person is shown in, beside a clip."""

FRAMES = 17
LARGE = 0.25
"""Share of what is shown in 96 x 96 px, the rest in 64 x 64."""

SIDES = {64: 0.3, 80: 0.2, 96: 0.3, 128: 0.2}
"""Side in pixels -> share of the photographs made for their face alone."""

LIGHTS = ("purple light", "back light")
"""Effects that change a face by the light on it."""

Origin = Literal["plain", "crop", "edited"]


@dataclass(frozen=True)
class Shot:
    """Something that the model is to draw: `frames` frames of `side` x `side` px, at rest if it is one."""

    scene: Scene
    frames: int
    side: int

    def render(self) -> Rendering:
        return render(self.scene, self.frames, self.side, self.side)


@dataclass(frozen=True)
class Photograph:
    """A picture that a face is taken from.

    Attributes:
        shot: number of the shot that it belongs to.
        origin: "plain": a frame of the shot; "crop": its first frame in front of something else, as if it had been cut out;
            "edited": the same with another expression, in another light (the paper's augmentations, section 4).
        scene: what is rendered, `side` x `side` px, in `frames` frames; None for a frame of the shot itself.
        moment: which frame of it.
    """

    shot: int
    origin: Origin
    scene: Scene | None = None
    frames: int = 1
    side: int = 64
    moment: int = 0

    def picture(self, shown: Sequence[Rendering]) -> np.ndarray:
        """(H, W, 3) uint8, given the renderings of all shots."""
        clip = shown[self.shot] if self.scene is None else render(self.scene, self.frames, self.side, self.side)
        return clip.frames[self.moment]


def identity_of(person: int) -> int:
    """The identity's seed of training person number `person`."""
    return TRAIN_IDENTITIES[FIRST_IDENTITY + person]


def shots_of(person: int) -> list[Shot]:
    """STILLS pictures and a clip of training person number `person`: everything but who it is is drawn anew in each."""
    first = TRAIN_SEEDS[FIRST_SCENE + (STILLS + 1) * person]
    scenes = [showing(sample_scene(first + number, "person"), identity_of(person)) for number in range(STILLS + 1)]
    sides = np.where(np.random.default_rng((171, person)).uniform(size=len(scenes)) < LARGE, 96, 64)
    *pictures, clip = [(scene, int(side)) for scene, side in zip(scenes, sides, strict=True)]
    return [*(Shot(still(scene), 1, side) for scene, side in pictures), Shot(clip[0], FRAMES, clip[1])]


def photographs_of(person: int, shots: Sequence[Shot]) -> list[Photograph]:
    """Of each shot a frame of its own, two of a clip, and others made from it: one from a picture, all kinds from a clip."""
    made: list[Photograph] = []
    for number, shot in enumerate(shots):
        draw = np.random.default_rng((172, person, number))
        moving = shot.frames > 1
        moments = (shot.frames // 2, shot.frames - 1) if moving else (0,)
        made += [Photograph(number, "plain", moment=moment) for moment in moments]
        origins: tuple[Origin, ...] = ("crop", "edited")
        for origin in origins if moving else (origins[int(draw.integers(2))],):
            # The first of two frames is the first of the clip; a single one shows the same as the shot's only one.
            scene, side = _elsewhere(shot.scene, draw), int(draw.choice(list(SIDES), p=list(SIDES.values())))
            made.append(Photograph(number, origin, scene if origin == "crop" else _edited(scene, draw), 2 if moving else 1, side))
    return made


def _elsewhere(scene: Scene, draw: np.random.Generator) -> Scene:
    """The same person in front of another place, without effects."""
    others = [place for place in PLACES if place != scene.background]
    return replace(scene, background=str(draw.choice(others)), seed=TRAIN_SEEDS[int(draw.integers(len(TRAIN_SEEDS)))], effects=())


def _edited(scene: Scene, draw: np.random.Generator) -> Scene:
    """The same with another expression, light from elsewhere and, in one of three, coloured or from behind."""
    person = scene.subjects[-1]
    expression = str(draw.choice([name for name in EXPRESSIONS if name != person.expression]))
    changed = replace(person, expression=expression, light=float(draw.uniform(-1, 1)))
    lights = (str(draw.choice(LIGHTS)),) if draw.uniform() < 1 / 3 else ()
    return replace(scene, subjects=(changed,), effects=lights)
