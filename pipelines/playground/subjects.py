"""Who a scene is about: toys and people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Toy:
    """A toy.

    Attributes:
        shape, colour, pattern, motion: names from `vocabulary`.
        size: radius as a fraction of half the frame height, about 0.3..0.6.
        place: (x, y) of the path's centre, fractions of half the frame size, y up.
        phase: start of periodic motions, 0..1.
        emblem: seed of the marking that makes it a particular toy, see `emblem.py`; None without one. No caption mentions it.
        reach: how far its motion carries it, 1 for half the frame.
    """

    shape: str
    colour: str
    pattern: str
    motion: str
    size: float = 0.36
    place: tuple[float, float] = (0.0, 0.0)
    phase: float = 0.0
    emblem: int | None = None
    reach: float = 1.0


@dataclass(frozen=True)
class Person:
    """A person, head and shoulders.

    Attributes:
        identity: seed of everything that makes this person, see `people.identity`.
        expression, motion: names from `vocabulary.EXPRESSIONS` and `vocabulary.PERSON_MOTIONS`.
        size: half the height of the head as a fraction of half the frame height, about 0.4..0.6.
        place: (x, y) of the head's path, fractions of half the frame size, y up.
        phase: start of periodic motions, 0..1.
        light: where the light comes from, -1 from the left of the picture, 1 from the right.
        clothes: a name from `vocabulary.COLOURS`.
    """

    identity: int
    expression: str
    motion: str
    size: float = 0.5
    place: tuple[float, float] = (0.0, 0.1)
    phase: float = 0.0
    light: float = 0.0
    clothes: str = "blue"


Subject = Toy | Person


def kind_of(subject: Subject) -> str:
    """The subject's kind as labels and dictionaries name it: "toy" or "person"."""
    return "person" if isinstance(subject, Person) else "toy"


def looks(subject: Subject) -> dict[str, str]:
    """Attribute -> name of what a caption can say about how `subject` looks."""
    if isinstance(subject, Toy):
        return {"shape": subject.shape, "colour": subject.colour, "pattern": subject.pattern}
    from pipelines.playground.people.identity import identity

    who = identity(subject.identity)
    return {
        "hair": who.hair,
        "hair colour": who.hair_colour,
        "glasses": "yes" if who.glasses else "no",
        "beard": "yes" if who.beard else "no",
        "expression": subject.expression,
        "clothes": subject.clothes,
    }
