"""Pairs to train on: a face taken from one picture of a person, and another picture or clip of them to be drawn (Lynx, section 4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from pipelines.training.packing import fill

if TYPE_CHECKING:
    from pipelines.methods.face_training.recorded import People, PersonFacts

Kind = Literal["crop", "clip", "edited", "scene"]

WEIGHTS: Mapping[Kind, float] = MappingProxyType({"crop": 0.15, "clip": 0.15, "edited": 0.25, "scene": 0.45})
"""How often the face comes from the target itself, cut out; from another moment of the same clip; from the target with another
expression and light; from another scene. The paper has 43 % single-scene, 42 % augmented and 15 % multi-scene pairs of 50 million,
because several scenes of one person are hard to come by; here they are not."""

ALIKE = 0.3
"""Similarity below which a pair is discarded: 1 in 100 pairs of two people reaches it, 19 in 20 pairs of one person do."""

BRIEF = 0.8
"""How often the caption says nothing of hair, glasses and beard: what the words tell need not be learnt from the face."""


@dataclass(frozen=True, eq=False)
class Pair:
    """One training sample.

    Attributes:
        latents: (1, C, T', H', W') of what is to be drawn, in any precision.
        text: (1, L, D) its caption's states.
        embedding: (E,) of the face, of unit length.
        features: of its reference picture, per block (1, M, C); None: to be made from `picture`.
        picture: (S, S, 3) uint8 the reference picture, where features are not given.
        cover: (1, 1, T', H', W') 0..1, where the loss counts more; None: nowhere.
        places: (T', 2, 3) where the face is, for an identity loss that wants to know; see `latent_faces.placed`.
        kind: where the face comes from.
    """

    latents: Tensor
    text: Tensor
    embedding: Tensor
    features: tuple[Tensor, ...] | None = None
    picture: np.ndarray | None = None
    cover: Tensor | None = None
    places: Tensor | None = None
    kind: str = "scene"


class Pairs(Protocol):
    """Where a training gets its samples from."""

    def pack(self, seed: int, step: int, tokens: int, stills: float) -> list[Pair]:
        """As many pairs as `tokens` tokens hold, always the same for the same arguments.

        Args:
            stills: share of single frames, 0..1.
        """


class Drawn(NamedTuple):
    """A pair before it is read: numbers of a person, a shot of theirs and a photograph, and whether only the first frame is drawn."""

    person: int
    shot: int
    photograph: int
    kind: Kind
    still: bool


class RecordedPairs:
    """Pairs of recorded people; always the same for the same seed and step.

    Args:
        people: recorded, all of them.
        weights: how often each kind of pair is drawn, among those that a target has.
        alike: similarity of the faces below which a pair is discarded.
        brief: how often the caption says nothing of what lasts of a person.
    Raises ValueError if no pair is left.
    """

    def __init__(self, people: People, weights: Mapping[Kind, float] = WEIGHTS, alike: float = ALIKE, brief: float = BRIEF) -> None:
        self.people, self.weights, self.brief = people, dict(weights), brief
        self.facts = [people.facts(person) for person in range(len(people))]
        self.choices = [_choices(facts, alike) for facts in self.facts]
        self.stills = [person for person, choices in enumerate(self.choices) if choices[True]]
        self.clips = [person for person, choices in enumerate(self.choices) if choices[False]]
        if not self.stills or not self.clips:
            raise ValueError("no pairs are left: faces are not seen, or too unlike each other")
        patch = people.backbone.transformer.config.patch_size
        self.cells = patch[1] * patch[2]

    def pack(self, seed: int, step: int, tokens: int, stills: float) -> list[Pair]:
        """See `Pairs.pack`."""
        draw = np.random.default_rng((174, seed, step))
        chosen = next(fill((self.draw(draw, bool(draw.uniform() < stills)) for _ in count()), tokens, self.tokens))
        return [self.read(one, brief=bool(draw.uniform() < self.brief)) for one in sorted(chosen, key=self.tokens)]

    def draw(self, draw: np.random.Generator, still: bool) -> Drawn:
        """Someone, something they are shown in, and a photograph of them."""
        known = self.stills if still else self.clips
        person = known[int(draw.integers(len(known)))]
        choices = self.choices[person][still]
        shot = list(choices)[int(draw.integers(len(choices)))]
        kinds = choices[shot]
        weights = np.array([self.weights[kind] for kind in kinds])
        kind = list(kinds)[int(draw.choice(len(kinds), p=weights / weights.sum()))]
        return Drawn(person, shot, int(draw.choice(kinds[kind])), kind, still)

    def tokens(self, drawn: Drawn) -> int:
        """That the target has."""
        frames, (height, width) = self.facts[drawn.person].shots[drawn.shot]
        return (1 if drawn.still else frames) * height * width // self.cells

    def read(self, drawn: Drawn, brief: bool = True) -> Pair:
        """The pair itself; `brief`: with the caption that leaves the looks out."""
        person, shot, frames = drawn.person, drawn.shot, slice(1 if drawn.still else None)
        words = f"{shot}.{'brief' if brief else 'full'} {'still' if drawn.still else 'moving'}"
        text = self.people.tensor(person, words)
        return Pair(
            latents=self.people.tensor(person, f"{shot}.latents")[None, :, frames],
            text=F.pad(text, (0, 0, 0, self.people.backbone.text_length - len(text)))[None],
            embedding=self.people.tensor(person, "embeddings", drawn.photograph),
            cover=self.people.tensor(person, f"{shot}.cover")[None, :, frames],
            places=self.people.tensor(person, places)[frames] if self.people.keeps(person, places := f"{shot}.places") else None,
            kind=drawn.kind,
            **self._reference(drawn),
        )

    def _reference(self, drawn: Drawn) -> dict[str, Any]:
        """Features of the reference picture where they are kept, else the picture."""
        if self.people.keeps(drawn.person, "features"):
            features = self.people.tensor(drawn.person, "features", drawn.photograph)
            return {"features": tuple(block[None] for block in features)}
        return {"picture": self.people.tensor(drawn.person, "pictures", drawn.photograph).numpy()}


def _choices(facts: PersonFacts, alike: float) -> dict[bool, dict[int, dict[Kind, list[int]]]]:
    """Of a person, for single frames and for clips: shot -> kind -> photographs that are alike enough."""
    found: dict[bool, dict[int, dict[Kind, list[int]]]] = {True: {}, False: {}}
    for shot, (frames, _) in enumerate(facts.shots):
        kinds: dict[Kind, list[int]] = defaultdict(list)
        for photograph, (of, origin) in enumerate(facts.photographs):
            kind = _kind(of == shot, origin, frames > 1)
            if kind and facts.similar[photograph, shot] >= alike:
                kinds[kind].append(photograph)
        for still in (True, False) if frames > 1 else (True,):
            if kinds:
                found[still][shot] = dict(kinds)
    return found


def _kind(same: bool, origin: str, moving: bool) -> Kind | None:
    """None for the very frame that is to be drawn: a picture that need only be copied."""
    if not same:
        return "scene"
    return origin if origin != "plain" else "clip" if moving else None


def kinds_of(pairs: RecordedPairs, seed: int, draws: int = 1000) -> Iterator[tuple[str, float]]:
    """How often each kind of pair is drawn, as a share of `draws`."""
    draw = np.random.default_rng((175, seed))
    drawn = [pairs.draw(draw, bool(index % 2)).kind for index in range(draws)]
    yield from ((kind, drawn.count(kind) / draws) for kind in WEIGHTS)
