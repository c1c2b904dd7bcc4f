"""A quick look at what an adapter has learnt, on toys of the training split that nobody has learnt from.

`pipelines.methods.zero_shot_subject.claims` measures the same with more care, on held-out toys: figures that are reported come from
there, settings are chosen here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.judge import Judge
from pipelines.evaluation.metrics import flicker, is_dynamic, similarity
from pipelines.events import Progress
from pipelines.methods.face_identity.loop import Drawn
from pipelines.methods.zero_shot_subject.loop import SubjectSettings, draw_subject
from pipelines.methods.zero_shot_subject.weights import Adapter, worn
from pipelines.methods.zero_shot_subject.words import CLS
from pipelines.playground.render import render
from pipelines.playground.scene import TRAIN_INSTANCES, TRAIN_SEEDS, instance, sample_scene, still
from pipelines.playground.train.stills import look
from pipelines.playground.vocabulary import MOTIONS, PLACES

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

FIRST_TOY, FIRST_SCENE = 90_000, 900_000
"""Far from all that is trained on."""

MOVING = ("left", "right", "rise", "fall", "bounce", "jump", "circle", "swing")
STEPS, GUIDANCE = 16, 4.0


@dataclass(frozen=True)
class Case:
    """A toy and what is asked of it.

    Attributes:
        picture: (H, W, 3) uint8, the toy at rest in another scene.
        shape: the word for it.
        words: how it moves and where.
        truth: (T, H, W, 3) uint8, the toy in that scene.
    """

    picture: np.ndarray
    shape: str
    words: str
    truth: np.ndarray


@dataclass(frozen=True)
class Figures:
    """What came out, means over toys.

    Attributes:
        gain, wrong: identity gain: 0 for the model without adapter and picture, 1 for the true picture, as the judge sees them;
            with the right picture, and with that of the toy before.
        dynamic, plain_dynamic: share of clips that move, with the adapter and without it.
        steady, plain_steady: 1 - flicker, see `metrics.flicker`.
        copied: how like the picture the first frame is, -1..1, against the mean of all frames: more if it is copied.
    """

    gain: float
    wrong: float
    dynamic: float
    plain_dynamic: float
    steady: float
    plain_steady: float
    copied: float


def case_of(index: int, frames: int = 17, side: int = 64) -> Case:
    """The `index`-th case."""
    toy = instance(TRAIN_INSTANCES[FIRST_TOY + index])
    here, there = (sample_scene(TRAIN_SEEDS[FIRST_SCENE + 2 * index + number], "instance") for number in range(2))
    motion = MOVING[index % len(MOVING)]
    shown = replace(there, camera="static", effects=(), subjects=(replace(there.subjects[-1], **look(toy), motion=motion),))
    picture = still(replace(here, effects=(), subjects=(replace(here.subjects[-1], **look(toy)),)))
    words = f"{MOTIONS[motion][0]} {PLACES[there.background][0]}"
    return Case(render(picture, 1, side, side).frames[0], toy.shape, words, render(shown, frames, side, side).frames)


def draw(backbone: Backbone, case: Case, picture: np.ndarray | None, seed: int) -> np.ndarray:
    """(T, H, W, 3) uint8 of what the case asks for, with `picture` as the reference and whatever adapter there is."""
    frames, height, width = case.truth.shape[:3]
    prompt = f"a {CLS} {case.shape} {case.words}" if picture is not None else f"a {case.shape} {case.words}"
    settings = SubjectSettings(
        prompt, frames=frames, height=height, width=width, seed=seed, steps=STEPS, guidance=GUIDANCE, preview_every=0
    )
    reference = None if picture is None else backbone.encode_video(picture[None])
    *_, drawn = draw_subject(backbone, reference, settings)
    assert isinstance(drawn, Drawn)
    return backbone.decode_video(drawn.latents)


def trial(backbone: Backbone, adapter: Adapter | None, judge: Judge, count: int = 16) -> Iterator[Progress | Figures]:
    """Draw `count` toys in three ways each; yields Progress, and last Figures.

    Args:
        adapter: None: the model wears it already.
    """
    cases, found = [case_of(index) for index in range(count)], []
    for index, case in enumerate(cases):
        yield Progress("looking", index, count, unit="toys")
        plain = draw(backbone, case, None, index)
        with worn(backbone, adapter) if adapter else nullcontext():
            own, other = (draw(backbone, case, cases[index - back].picture, index) for back in range(2))
        found.append(figures(case, plain, own, other, judge))
    yield Figures(*(float(np.mean([getattr(one, field.name) for one in found])) for field in fields(Figures)))


def figures(case: Case, plain: np.ndarray, own: np.ndarray, other: np.ndarray, judge: Judge) -> Figures:
    """Of one case: clips without adapter and picture, with its own picture and with another's."""
    wanted = judge.embed(case.picture[None])
    low, high, right, wrong = (similarity(judge.embed(clip), wanted) for clip in (plain, case.truth, own, other))
    way = max(high - low, 0.05)
    first = similarity(judge.embed(own[:1]), wanted)
    return Figures(
        gain=(right - low) / way,
        wrong=(wrong - low) / way,
        dynamic=float(is_dynamic(own)),
        plain_dynamic=float(is_dynamic(plain)),
        steady=flicker(own),
        plain_steady=flicker(plain),
        copied=first - right,
    )
