"""Prompts for masks: noun phrases that name a subject by some of its attributes, and what they are true of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.playground.scene import Scene
from pipelines.playground.vocabulary import COLOURS, HAIR_COLOURS, HAIR_STYLES, PATTERNS, SHAPES, WEARING

NAMES = {
    "shape": tuple(SHAPES),
    "colour": tuple(COLOURS),
    "pattern": tuple(PATTERNS),
    "hair": tuple(HAIR_STYLES),
    "hair colour": tuple(HAIR_COLOURS),
    "clothes": tuple(COLOURS),
}
"""Attribute -> its names."""

SAID = {"toy": {"shape": 0.8, "colour": 0.6, "pattern": 0.2}, "person": {"hair colour": 0.25, "clothes": 0.3}}
"""Kind -> how often a prompt tells each attribute."""


@dataclass(frozen=True)
class Prompt:
    """`words` and the attributes that they tell; it means every subject that has them all."""

    words: str
    told: dict[str, str]

    def fits(self, subject: dict[str, str]) -> bool:
        """Whether the words are true of a subject with these attributes."""
        return all(subject.get(attribute) == name for attribute, name in self.told.items())


def attributes(scene: Scene) -> list[dict[str, str]]:
    """The attributes of each subject, in painter's order."""
    return [replace(scene, subjects=(subject,)).labels() for subject in scene.subjects]


def right_prompt(draw: np.random.Generator, subjects: Sequence[dict[str, str]]) -> Prompt:
    """Names the front subject, and no other if a description of them all can keep them apart."""
    front = subjects[-1]
    for _ in range(8):
        told = {name: front[name] for name, share in SAID[front["kind"]].items() if draw.uniform() < share}
        prompt = phrase(draw, {"kind": front["kind"], **told})
        if not any(prompt.fits(other) for other in subjects[:-1]):
            return prompt
    return phrase(draw, {name: front[name] for name in ("kind", *SAID[front["kind"]])})


def wrong_prompt(draw: np.random.Generator, subjects: Sequence[dict[str, str]]) -> Prompt:
    """Names nothing that is there: as often a near miss of the front subject as something else altogether."""
    while True:
        prompt = _miss(draw, subjects[-1]) if draw.uniform() < 0.5 else any_prompt(draw)
        if not any(prompt.fits(subject) for subject in subjects):
            return prompt


def any_prompt(draw: np.random.Generator) -> Prompt:
    """Names a toy (four times in five) or a person of any description."""
    kind = "toy" if draw.uniform() < 0.8 else "person"
    told = {name: str(draw.choice(NAMES[name])) for name, share in SAID[kind].items() if draw.uniform() < share}
    return phrase(draw, {"kind": kind, **told})


def _miss(draw: np.random.Generator, subject: dict[str, str]) -> Prompt:
    """The subject with one attribute told wrongly and others rightly."""
    shares = SAID[subject["kind"]]
    wrong = str(draw.choice(list(shares), p=np.array(list(shares.values())) / sum(shares.values())))
    told = {name: subject[name] for name, share in shares.items() if draw.uniform() < share}
    told[wrong] = str(draw.choice([name for name in NAMES[wrong] if name != subject[wrong]]))
    return phrase(draw, {"kind": subject["kind"], **told})


def phrase(draw: np.random.Generator, told: dict[str, str]) -> Prompt:
    """Words for `told`, with or without an article; a toy's kind is not said where its shape is."""
    noun = _toy(draw, told) if told["kind"] == "toy" else _person(draw, told)
    article = str(draw.choice(["", "the", "an" if noun[0] in "aeiou" else "a"]))
    return Prompt(f"{article} {noun}".strip(), told)


def _toy(draw: np.random.Generator, told: dict[str, str]) -> str:
    pattern = str(draw.choice([word for word in PATTERNS[told["pattern"]] if word])) if "pattern" in told else ""
    return " ".join(word for word in (told.get("colour", ""), pattern, told.get("shape", "toy")) if word)


def _person(draw: np.random.Generator, told: dict[str, str]) -> str:
    hair = f"with {told['hair colour']} hair" if "hair colour" in told else ""
    clothes = str(draw.choice(WEARING)).format(told["clothes"]) if "clothes" in told else ""
    return " ".join(word for word in ("person", hair, clothes) if word)
