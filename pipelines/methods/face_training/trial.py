"""A quick look at what an adapter has learnt, on people of the training split whom nobody has learnt from.

`pipelines.methods.face_identity.claims` measures the same with more care, on held-out people: figures that are reported come from
there, settings are chosen here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.events import Progress
from pipelines.faces import Recogniser
from pipelines.methods.face_identity.claims import Case, area, case_of
from pipelines.methods.face_identity.condition import conditions_of
from pipelines.methods.face_identity.loop import Drawn, FaceSettings, generate_face
from pipelines.methods.face_identity.seen import likeness
from pipelines.methods.face_training.recorded import Eyes
from pipelines.playground.scene import TRAIN_IDENTITIES, TRAIN_SEEDS

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone
    from pipelines.methods.face_identity.modules import FaceAdapter

IDENTITIES, SEEDS = TRAIN_IDENTITIES[85_000:], TRAIN_SEEDS[850_000:]
"""Far from all that is trained on."""


@dataclass(frozen=True)
class Figures:
    """What came out.

    Attributes:
        own, other: mean similarity -1..1 of a sample's face to its photo, and to those of the other people.
        area: share of pairs of samples in which one's own is the higher (0.5: chance).
        nearest: share of samples that are most like their own photo, of all photos.
        found: share of samples in whose frames a face is seen.
    """

    own: float
    other: float
    area: float
    nearest: float
    found: float


def settings_of(case: Case, frames: int = 1, side: int = 64, steps: int = 16) -> FaceSettings:
    """How a sample of `case` is drawn by a model of the playground."""
    values = {"frames": frames, "height": side, "width": side, "steps": steps, "guidance": 1.5, "id_guidance": 3.0}
    return FaceSettings(prompt=case.prompt, seed=case.seed, **values)


def trial(
    backbone: Backbone, adapter: FaceAdapter, eyes: Eyes, count: int = 24, frames: int = 1, side: int = 64, *,
    scoring: Recogniser | None = None, **scales: float,
) -> Iterator[Progress | Figures]:  # fmt: skip
    """Draw `count` people and compare them with their photos; yields Progress, and last Figures.

    Args:
        frames, side: of the samples, in frames and pixels.
        scoring: whose embeddings are compared; None: the recogniser that the adapter is conditioned with.
        scales: `id_scale` and `ref_scale`, if not 1.
    """
    cases = [case_of(index, IDENTITIES, SEEDS) for index in range(count)]
    faces = [eyes.look(case.photo) for case in cases]
    judge = Eyes(eyes.detector, scoring or eyes.recogniser, eyes.side)
    wanted = [judge.look(case.photo) for case in cases]
    known = [index for index in range(count) if faces[index] and wanted[index]]
    similar, found = np.full((len(known), len(known)), np.nan), []
    for row, index in enumerate(known):
        yield Progress("looking", row, len(known), unit="people")
        clip = sample(backbone, adapter, faces[index], FaceSettings(**vars(settings_of(cases[index], frames, side)) | scales))
        for column, other in enumerate(known):
            seen = likeness(clip[:: max(1, frames // 4)], wanted[other][0], judge.detector, judge.recogniser)
            similar[row, column] = np.nanmean(seen.similarity) if seen.found else np.nan
        found.append(seen.found)
    yield figures_of(similar, found)


def sample(backbone: Backbone, adapter: FaceAdapter, face: tuple[np.ndarray, np.ndarray], settings: FaceSettings) -> np.ndarray:
    """(T, H, W, 3) uint8 of the person with this embedding and reference picture."""
    *_, drawn = generate_face(backbone, adapter, conditions_of(backbone, adapter, *face), settings)
    assert isinstance(drawn, Drawn)
    return backbone.decode_video(drawn.latents)


def figures_of(similar: np.ndarray, found: list[float]) -> Figures:
    """Of similarities (samples, photos), own ones on the diagonal; NaN without a face."""
    seen = np.isfinite(similar).all(1)
    values, itself = similar[seen], np.eye(len(similar), dtype=bool)[seen]
    if not seen.any():
        return Figures(float("nan"), float("nan"), float("nan"), 0.0, float(np.mean(found)))
    own, other = values[itself], values[~itself]
    nearest = np.zeros(len(similar))
    nearest[seen] = values.argmax(1) == itself.argmax(1)
    return Figures(float(own.mean()), float(other.mean()), area(own, other), float(nearest.mean()), float(np.mean(found)))
