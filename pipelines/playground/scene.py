"""`Scene`: a plain, seedable, serialisable description of a clip, and its caption."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from pipelines.playground.vocabulary import CAMERAS, COLOURS, MOTIONS, OPENINGS, PATTERNS, PLACES, SHAPES

TRAIN_SEEDS = range(1_000_000)
"""Seeds that models may be trained and tuned on."""

HELD_OUT_SEEDS = range(1_000_000, 1_100_000)
"""Seeds that only reported figures may use."""


@dataclass(frozen=True)
class Toy:
    """One subject.

    Attributes:
        shape, colour, pattern, motion: names from `vocabulary`.
        size: radius as a fraction of half the frame height, about 0.25..0.5.
        place: (x, y) of the path's centre, fractions of half the frame size, y up.
        phase: start of periodic motions, 0..1.
    """

    shape: str
    colour: str
    pattern: str
    motion: str
    size: float = 0.36
    place: tuple[float, float] = (0.0, 0.0)
    phase: float = 0.0


@dataclass(frozen=True)
class Scene:
    """A clip before it is rendered: what is in it, where, seen how.

    Attributes:
        seed: varies the background's details and the caption's wording.
        background: a name from `vocabulary.PLACES`.
        camera: a name from `vocabulary.CAMERAS`; it follows the subject, so it moves the background only (zoom moves both).
        subjects: painter's order, the last is in front.
    """

    seed: int
    background: str
    camera: str
    subjects: tuple[Toy, ...]

    def to_dict(self) -> dict:
        """Plain values, for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict) -> Scene:
        """The inverse of `to_dict`."""
        toys = tuple(Toy(**{**toy, "place": tuple(toy["place"])}) for toy in values["subjects"])
        return Scene(values["seed"], values["background"], values["camera"], toys)

    def labels(self) -> dict[str, str]:
        """Attribute -> name, of the front subject and the scene."""
        toy = self.subjects[-1]
        return {
            "shape": toy.shape,
            "colour": toy.colour,
            "pattern": toy.pattern,
            "motion": toy.motion,
            "background": self.background,
            "camera": self.camera,
        }


def sample_scene(seed: int) -> Scene:
    """The scene of `seed`: attributes drawn independently and uniformly, half of the cameras static."""
    draw = np.random.default_rng((71, seed))

    def pick(names) -> str:
        return str(draw.choice(list(names)))

    toy = Toy(
        shape=pick(SHAPES),
        colour=pick(COLOURS),
        pattern=pick(PATTERNS),
        motion=pick(MOTIONS),
        size=float(draw.uniform(0.32, 0.46)),
        place=(float(draw.uniform(-0.22, 0.22)), float(draw.uniform(-0.3, 0.05))),
        phase=float(draw.uniform()),
    )
    camera = "static" if draw.uniform() < 0.5 else pick(CAMERAS)
    return Scene(seed, pick(PLACES), camera, (toy,))


def still(scene: Scene) -> Scene:
    """The same scene without any motion: what a single frame can show."""
    toys = tuple(replace(toy, motion="still") for toy in scene.subjects)
    return replace(scene, camera="static", subjects=toys)


def caption(scene: Scene, *, moving: bool = True) -> str:
    """What `scene` shows, in words that vary with its seed; without verbs of motion when `moving` is False."""
    draw = np.random.default_rng((72, scene.seed))

    def say(words: tuple[str, ...]) -> str:
        return str(draw.choice(list(words)))

    toy = scene.subjects[-1]
    adjectives = [toy.colour, say(PATTERNS[toy.pattern])]
    if draw.uniform() < 0.3:
        adjectives.reverse()
    noun = " ".join(word for word in (*adjectives, toy.shape) if word)
    opening, motion, place, camera = say(OPENINGS), say(MOTIONS[toy.motion]), say(PLACES[scene.background]), say(CAMERAS[scene.camera])
    words = [opening, noun, motion, place] if moving else [opening, noun, place]
    sentence = " ".join(words)
    if opening in ("a", "a toy", "a clip of a", "a video of a") and noun[0] in "aeiou" and not opening.endswith("toy"):
        sentence = sentence.replace("a " + noun, "an " + noun, 1)
    return f"{sentence}, {camera}" if camera and moving else sentence
