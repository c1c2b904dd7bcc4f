"""`Scene`: a plain, seedable, serialisable description of a clip; drawn from a seed, said in a caption."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace

import numpy as np

from pipelines.playground.captions import caption
from pipelines.playground.emblem import EMBLEM_PLACE
from pipelines.playground.subjects import Person, Subject, Toy, kind_of, looks
from pipelines.playground.vocabulary import (
    CAMERAS,
    COLOURS,
    EFFECTS,
    EXPRESSIONS,
    MOTIONS,
    NO_EFFECT,
    PATTERNS,
    PERSON_MOTIONS,
    PLACES,
    SHAPES,
)

__all__ = ["Person", "Scene", "Subject", "Toy", "caption", "instance", "kind_of", "sample_scene", "still"]

WORLD = 4
"""Version of the world: what a seed shows changes with it, and with it every cache of renderings."""

TRAIN_SEEDS = range(1_000_000)
"""Seeds of scenes that models may be trained and tuned on."""

HELD_OUT_SEEDS = range(1_000_000, 1_100_000)
"""Seeds of scenes that only reported figures may use."""

TRAIN_INSTANCES = TRAIN_IDENTITIES = range(100_000)
"""Seeds of particular toys and of people in scenes of the training split."""

HELD_OUT_INSTANCES = HELD_OUT_IDENTITIES = range(100_000, 110_000)
"""Seeds of particular toys and of people in held-out scenes."""


KINDS = {"toy": 0.5, "instance": 0.12, "toys": 0.13, "person": 0.25}
"""What scenes are about, and the share of each: one toy, a particular toy, two toys, a person."""

EFFECT_SHARE = 0.35
"""Share of scenes with an effect."""


@dataclass(frozen=True)
class Scene:
    """A clip before it is rendered: what is in it, where, seen how.

    Attributes:
        seed: varies the details of background and effects and the caption's wording.
        background: a name from `vocabulary.PLACES`.
        camera: a name from `vocabulary.CAMERAS`; it follows the subject, so it moves the background only (zoom moves both).
        subjects: painter's order, the last is in front.
        effects: names from `vocabulary.EFFECTS`, applied in this order.
    """

    seed: int
    background: str
    camera: str
    subjects: tuple[Subject, ...]
    effects: tuple[str, ...] = ()

    def to_dict(self) -> dict:
        """Plain values, for JSON; each subject says its "kind"."""
        subjects = [{"kind": kind_of(subject), **asdict(subject)} for subject in self.subjects]
        return {**asdict(self), "subjects": subjects, "effects": list(self.effects)}

    @staticmethod
    def from_dict(values: dict) -> Scene:
        """The inverse of `to_dict`; fields that came later may be missing, subjects without a kind are toys."""
        subjects = tuple(_subject(subject) for subject in values["subjects"])
        return Scene(values["seed"], values["background"], values["camera"], subjects, tuple(values.get("effects", ())))

    def labels(self) -> dict[str, str]:
        """Attribute -> name, of the front subject and the scene."""
        subject = self.subjects[-1]
        of_scene = {"kind": kind_of(subject), "background": self.background, "camera": self.camera, "motion": subject.motion}
        return {**of_scene, "effect": self.effects[0] if self.effects else NO_EFFECT, **looks(subject)}


def still(scene: Scene) -> Scene:
    """The same scene without any motion of subject and camera: what a single frame can show."""
    return replace(scene, camera="static", subjects=tuple(replace(subject, motion="still") for subject in scene.subjects))


def _subject(values: dict) -> Subject:
    fields = {**values, "place": tuple(values["place"])}
    return Person(**fields) if fields.pop("kind", "toy") == "person" else Toy(**fields)


def sample_scene(seed: int, kind: str | None = None) -> Scene:
    """The scene of `seed`: attributes drawn independently and uniformly, half of the cameras static.

    `kind` is one of KINDS; None draws it. Scenes of held-out seeds show held-out instances and identities.
    """
    draw = np.random.default_rng((71, seed))
    drawn = str(draw.choice(list(KINDS), p=list(KINDS.values())))
    camera = "static" if draw.uniform() < 0.5 else _pick(draw, CAMERAS)
    effects = (_pick(draw, EFFECTS),) if draw.uniform() < EFFECT_SHARE else ()
    subjects = CASTS[kind or drawn](draw, seed in HELD_OUT_SEEDS)
    return Scene(seed, _pick(draw, PLACES), camera, subjects, effects)


def instance(seed: int) -> Toy:
    """The particular toy of `seed`, at rest: shape, colour and pattern drawn uniformly, and a marking of its own."""
    draw = np.random.default_rng((75, seed))
    return Toy(_pick(draw, EMBLEM_PLACE), _pick(draw, COLOURS), _pick(draw, PATTERNS), "still", 0.52, emblem=seed)


def _pick(draw: np.random.Generator, names: Collection[str]) -> str:
    return str(draw.choice(list(names)))


def _seed(draw: np.random.Generator, seeds: range) -> int:
    return int(draw.integers(seeds.start, seeds.stop))


def _within(draw: np.random.Generator, low: float, high: float) -> float:
    return round(float(draw.uniform(low, high)), 4)


def _toy(draw: np.random.Generator, held_out: bool) -> tuple[Subject, ...]:
    toy = Toy(_pick(draw, SHAPES), _pick(draw, COLOURS), _pick(draw, PATTERNS), _pick(draw, MOTIONS))
    return (replace(toy, size=_within(draw, 0.44, 0.58), **_pose(draw, toy.motion)),)


def _instance(draw: np.random.Generator, held_out: bool) -> tuple[Subject, ...]:
    toy = instance(_seed(draw, HELD_OUT_INSTANCES if held_out else TRAIN_INSTANCES))
    motion = _pick(draw, MOTIONS)
    return (replace(toy, motion=motion, size=_within(draw, 0.5, 0.62), **_pose(draw, motion)),)


def _pose(draw: np.random.Generator, motion: str) -> dict:
    """Place and phase of a toy alone; a motion that crosses the frame begins near the middle."""
    wide = 0.08 if motion in ("left", "right", "zigzag", "swing", "circle") else 0.22
    low, high = (-0.12, 0.08) if motion in ("rise", "fall", "circle") else (-0.3, 0.05)
    return {"place": (_within(draw, -wide, wide), _within(draw, low, high)), "phase": _within(draw, 0, 1)}


def _two_toys(draw: np.random.Generator, held_out: bool) -> tuple[Subject, ...]:
    """Two toys of different shape and colour side by side; in every fourth scene their ways are long enough to cross."""
    shapes, colours = draw.permutation(list(SHAPES)), draw.permutation(list(COLOURS))
    side, reach = draw.choice((-1, 1)), 0.9 if draw.uniform() < 0.25 else 0.45
    return tuple(
        Toy(
            shape=str(shapes[index]),
            colour=str(colours[index]),
            pattern=_pick(draw, PATTERNS),
            motion=_pick(draw, MOTIONS),
            size=_within(draw, 0.32, 0.4),
            place=(_within(draw, 0.4, 0.5) * float(sign), _within(draw, -0.3, 0.2)),
            phase=_within(draw, 0, 1),
            reach=reach,
        )
        for index, sign in enumerate((side, -side))
    )


def _person(draw: np.random.Generator, held_out: bool) -> tuple[Subject, ...]:
    person = Person(
        identity=_seed(draw, HELD_OUT_IDENTITIES if held_out else TRAIN_IDENTITIES),
        expression=_pick(draw, EXPRESSIONS),
        motion=_pick(draw, PERSON_MOTIONS),
        size=_within(draw, 0.42, 0.56),
        place=(_within(draw, -0.15, 0.15), _within(draw, 0.02, 0.18)),
        phase=_within(draw, 0, 1),
        light=_within(draw, -1, 1),
        clothes=_pick(draw, COLOURS),
    )
    return (person,)


CASTS: dict[str, Callable[[np.random.Generator, bool], tuple[Subject, ...]]] = {
    "toy": _toy,
    "instance": _instance,
    "toys": _two_toys,
    "person": _person,
}
"""Kind of scene -> how its subjects are drawn: (generator, held out) -> subjects, painter's order."""
