"""`caption`: what a scene shows, in words that vary with its seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipelines.playground.subjects import Person, Subject, Toy, looks
from pipelines.playground.vocabulary import (
    CAMERAS,
    EFFECTS,
    EXPRESSIONS,
    HAIR_STYLES,
    MOTIONS,
    OPENINGS,
    PATTERNS,
    PERSON_MOTIONS,
    PLACES,
    WEARING,
)

if TYPE_CHECKING:
    from pipelines.playground.scene import Scene

MAX_WORDS = 30


def caption(scene: Scene, *, moving: bool = True) -> str:
    """What `scene` shows, in at most MAX_WORDS words that vary with its seed; without motion and camera when `moving` is False.

    Named are all of `scene.labels()`, of each subject. Unsaid may stay: a plain pattern, a camera at rest, a neutral
    expression, a person's stillness, and what is not there: effect, glasses, beard.
    """
    speaker = _Speaker(scene.seed)
    while True:
        sentence = speaker.sentence(scene, moving)
        if len(sentence.split()) <= MAX_WORDS:
            return sentence


class _Speaker:
    """Chooses among the ways to say something; the same seed makes the same choices."""

    def __init__(self, seed: int) -> None:
        self.draw = np.random.default_rng((72, seed))

    def say(self, ways: tuple[str, ...]) -> str:
        return ways[int(self.draw.integers(len(ways)))]

    def likely(self, share: float) -> bool:
        return bool(self.draw.uniform() < share)

    def sentence(self, scene: Scene, moving: bool) -> str:
        """Place and effects after the subjects or before them; the camera always last."""
        subjects = _join([self.subject(subject, moving) for subject in scene.subjects])
        place, camera = self.say(PLACES[scene.background]), self.say(CAMERAS[scene.camera])
        effects = [self.say(EFFECTS[effect]) for effect in scene.effects]
        opening, clothes, order = self.say(OPENINGS), self.clothes(scene.subjects[-1]), self.draw.uniform()
        if order < 0.2:
            words = [place + ",", subjects, clothes, *effects]
        elif order < 0.35 and effects:
            words = [*effects[:-1], effects[-1] + ",", subjects, clothes, place]
        else:
            words = [opening, subjects, *self.either_way([clothes, " ".join([place, *effects])])]
        text = " ".join(word for word in words if word)
        return f"{text}, {camera}" if camera and moving else text

    def either_way(self, parts: list[str]) -> list[str]:
        return parts[::-1] if self.likely(0.5) else parts

    def subject(self, subject: Subject, moving: bool) -> str:
        return self.person(subject, moving) if isinstance(subject, Person) else self.toy(subject, moving)

    def toy(self, toy: Toy, moving: bool) -> str:
        adjectives = [word for word in (toy.colour, self.say(PATTERNS[toy.pattern])) if word]
        if self.likely(0.3):
            adjectives.reverse()
        noun = f"toy {toy.shape}" if self.likely(0.12) else toy.shape
        motion = self.say(MOTIONS[toy.motion])
        words = [_article(adjectives[0], self.say(("a", "a", "one"))), *adjectives, noun, *([motion] if moving else [])]
        return " ".join(words)

    def person(self, person: Person, moving: bool) -> str:
        """Noun, what belongs to the face, expression and motion."""
        seen = looks(person)
        features = [self.say(HAIR_STYLES[seen["hair"]]).format(seen["hair colour"])]
        extras = [word for word in ("glasses", "beard") if seen[word] == "yes"]
        self.draw.shuffle(extras)
        features += ["a beard" if word == "beard" else word for word in extras]
        acts = [self.say(EXPRESSIONS[person.expression]), self.say(PERSON_MOTIONS[person.motion]) if moving else ""]
        return " ".join(
            word for word in (self.say(("a person", "someone")), "with", _list(features), _join([act for act in acts if act])) if word
        )

    def clothes(self, subject: Subject) -> str:
        return self.say(WEARING).format(subject.clothes) if isinstance(subject, Person) else ""


def _article(word: str, article: str) -> str:
    return "an" if article == "a" and word[0] in "aeiou" else article


def _join(parts: list[str]) -> str:
    return " and ".join(parts)


def _list(parts: list[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]
