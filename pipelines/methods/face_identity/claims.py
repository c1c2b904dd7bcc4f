"""What Lynx claims of its adapters (Tables 1 and 3), on held-out people of the world.

The photo shows a person as another scene does, the prompt says nothing of the face, and what comes out is compared with the photo
by two recognisers: the one that the adapter was conditioned with, and another of a different architecture and training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from pipelines.evaluation.expressions import Expressions
from pipelines.evaluation.judge import Judge
from pipelines.evaluation.metrics import is_dynamic
from pipelines.evaluation.rows import Row
from pipelines.events import Result
from pipelines.faces import Detector, Recogniser, arcface_crop, choose, open_recogniser, pack
from pipelines.methods.face_identity.request import FaceRequest
from pipelines.methods.face_identity.seen import likeness
from pipelines.models.registry import ModelEntry
from pipelines.models.wishes import wishes
from pipelines.playground.render import render
from pipelines.playground.scene import HELD_OUT_IDENTITIES, HELD_OUT_SEEDS, sample_scene, still
from pipelines.playground.train.faces.pictures import showing
from pipelines.playground.vocabulary import EXPRESSIONS, PERSON_MOTIONS, PLACES
from pipelines.requests import Request

Run = Callable[[Request], Result]
"""Runs a request to its end."""

WAYS: dict[str, dict[str, float]] = {
    "full": {},
    "ID only": {"ref_scale": 0.0},
    "Ref only": {"id_scale": 0.0},
    "no photo": {"id_scale": 0.0, "ref_scale": 0.0},
}
CONDITIONING, SCORING = "playground-faces", "playground-faces-second"
RECOGNISERS = {"": CONDITIONING, ", second recogniser": SCORING}
BARS = {
    "full: AUC against other people": 0.9,
    "full: frames with a face": 0.95,
    "full: place of the prompt": 0.8,
    "full: expression of the prompt": 0.8,
    "true pictures: expression": 0.9,
}
SLOWEST = 30.0
PHOTO_SIDE = 128
PICTURES = 128
"""True pictures that show how well expressions are told at all."""

ACTING = ("turn", "nod", "talk", "look around", "sway")


@dataclass(frozen=True)
class Case:
    """A person and what is asked of them.

    Attributes:
        photo: (H, W, 3) uint8.
        prompt: without a word about whose face it is.
        place, expression: that the prompt names.
        seed: of the generation.
    """

    photo: np.ndarray
    prompt: str
    place: str
    expression: str
    seed: int


def case_of(index: int, identities: range = HELD_OUT_IDENTITIES, seeds: range = HELD_OUT_SEEDS) -> Case:
    """The `index`-th case: one of `identities`, photographed in one of the scenes of `seeds`, asked for in another place."""
    draw = np.random.default_rng((95, index))
    scene = showing(sample_scene(seeds[60_000 + index], "person"), identities[2000 + index])
    photo = render(still(scene), 1, PHOTO_SIDE, PHOTO_SIDE).frames[0]
    place = str(draw.choice([one for one in PLACES if one != scene.background]))
    expression = str(draw.choice([name for name, words in EXPRESSIONS.items() if words[0]]))
    acts = PERSON_MOTIONS[str(draw.choice(ACTING))][0]
    return Case(photo, f"a person {EXPRESSIONS[expression][0]} and {acts} {PLACES[place][0]}", place, expression, index)


@dataclass
class Found:
    """Figures of one way of drawing, a value per case.

    Attributes:
        own, other: recogniser -> mean similarity of a clip's faces to its photo, and to another person's; NaN without a face.
        figures: name -> values.
    """

    own: dict[str, list[float]] = field(default_factory=dict)
    other: dict[str, list[float]] = field(default_factory=dict)
    figures: dict[str, list[float]] = field(default_factory=dict)


class Claims:
    """The measurements of one model and one adapter."""

    def __init__(self, model: ModelEntry, run: Run, judge: Judge, adapter: str = "") -> None:
        self.model, self.run, self.judge = model, run, judge
        self.adapter = {"adapter": adapter} if adapter else {}
        self.detector = Detector.open(pack(CONDITIONING).find(), embed=False)
        self.expressions = Expressions.load()
        self.recognisers = {end: open_recogniser(name) for end, name in RECOGNISERS.items()}

    def rows(self, people: int) -> Iterator[Row]:
        """All rows over `people` held-out identities; errors are over them."""
        yield self._row("true pictures: expression", [self._told(index) for index in range(PICTURES)])
        cases = [case_of(index) for index in range(people)]
        wanted = {end: [self._embedding(case.photo, recogniser) for case in cases] for end, recogniser in self.recognisers.items()}
        with TemporaryDirectory() as folder:
            for way, settings in WAYS.items():
                found = Found()
                for index, case in enumerate(cases):
                    theirs = {end: (known[index], known[(index + 1) % people]) for end, known in wanted.items()}
                    self._add(found, self._drawn(case, settings, Path(folder)), case, theirs)
                yield from self._rows_of(way, found)

    def _told(self, index: int) -> float:
        """Whether the expression of a held-out person is told rightly from a true picture of the size of a photo."""
        scene = sample_scene(HELD_OUT_SEEDS[70_000 + index], "person")
        picture = render(still(scene), 1, PHOTO_SIDE, PHOTO_SIDE).frames
        face = max(self.detector.detect(picture[0]), key=lambda one: one.height, default=None)
        return float(self.expressions.tell(picture, [face]) == scene.subjects[-1].expression)

    def _embedding(self, photo: np.ndarray, recogniser: Recogniser) -> np.ndarray:
        face = choose(self.detector.detect(photo))
        return recogniser.embed(arcface_crop(photo, face.landmarks, recogniser.size)[None])[0]

    def _drawn(self, case: Case, settings: dict[str, float], folder: Path) -> Result:
        photo = folder / f"{case.seed}.png"
        Image.fromarray(case.photo).save(photo)
        values = {"model": self.model.name, "prompt": case.prompt, "seed": case.seed, "watch_every": 0}
        values |= {"photo": str(photo), "consent": True} | self.adapter | settings
        return self.run(FaceRequest.read(self.model.defaults() | wishes(self.model, FaceRequest.method) | values))

    def _add(self, found: Found, result: Result, case: Case, wanted: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
        """The figures of one clip; `wanted` are its person's embedding and another's, for each recogniser."""
        clip = result.frames
        for end, recogniser in self.recognisers.items():
            for kept, embedding in zip((found.own, found.other), wanted[end], strict=True):
                seen = likeness(clip, embedding, self.detector, recogniser)
                kept.setdefault(end, []).append(float(np.nanmean(seen.similarity)) if seen.found else float("nan"))
        figures = {
            "frames with a face": seen.found,
            "expression of the prompt": float(self.expressions.tell(clip, seen.faces) == case.expression),
            "place of the prompt": float(self.judge.attributes(clip)["background"][0] == case.place),
            "agreement with the prompt": self.judge.similarity(clip, case.prompt),
            "dynamic degree": float(is_dynamic(clip)),
            "seconds": float(result.values["seconds"]),
        }
        for name, value in figures.items():
            found.figures.setdefault(name, []).append(value)

    def _rows_of(self, way: str, found: Found) -> Iterator[Row]:
        for end in self.recognisers:
            own, other = _known(found.own[end]), _known(found.other[end])
            if own:
                yield self._row(f"{way}: likeness to the photo{end}", own)
                yield self._row(f"{way}: likeness to another person's{end}", other)
                yield self._row(f"{way}: AUC against other people{end}", [area(own, other)])
        for name, values in found.figures.items():
            yield self._row(f"{way}: {name}", values)
        if way == next(iter(WAYS)):
            yield Row.of(f"{self.model.name}: seconds for a clip, negative", [-value for value in found.figures["seconds"]], -SLOWEST)

    def _row(self, name: str, values: Sequence[float]) -> Row:
        return Row.of(f"{self.model.name}: {name}", values, BARS.get(name))


def area(own: Sequence[float], other: Sequence[float]) -> float:
    """Area under the receiver operating characteristic: the share of pairs in which one's own is the higher; half of the ties."""
    first, second = np.asarray(own)[:, None], np.asarray(other)[None]
    return float((first > second).mean() + (first == second).mean() / 2)


def _known(values: Sequence[float]) -> list[float]:
    return [value for value in values if np.isfinite(value)]
