"""What the method claims (Tables 2 and 3, section D.6), on held-out instances of the world: identity from one picture, and motion kept.

The world can draw the very instance in the very scene, so identity is a gain: 0 is the model that is told the shape alone, 1 the
true picture, both as the judge sees them beside pictures that the method is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from pipelines.evaluation.judge import Judge
from pipelines.evaluation.metrics import flicker, is_dynamic, optical_flow, similarity, speeds
from pipelines.evaluation.rows import Row
from pipelines.events import Result
from pipelines.methods.appearance_warping.claims import Case, case_of, reference_pictures
from pipelines.methods.generate.request import GenerateRequest
from pipelines.methods.subject_adaptation.pictures import fit
from pipelines.methods.zero_shot_subject.request import SubjectRequest
from pipelines.models.registry import ModelEntry
from pipelines.models.wishes import wishes
from pipelines.playground.scene import HELD_OUT_INSTANCES, instance
from pipelines.playground.subjects import Toy
from pipelines.requests import Request

Run = Callable[[Request], Result]
"""Runs a request to its end."""

SCENES = 4
"""Clips of each instance."""

GAIN, CONTROL, DYNAMIC = 0.4, 0.1, 0.8
"""Bars for the first adapter: gain at least, gain of a wrong picture at most, share of the base's dynamic degree at least."""

BASE, TRUE = "text alone", "true picture"
RIGHT, WRONG = "right.png", "wrong.png"


@dataclass(frozen=True)
class Shown:
    """An instance as it is asked for.

    Attributes:
        given: (S, S, 3) uint8, the picture that the method sees; wrong: one of another instance.
        wanted: (M, E) embeddings of other pictures of it.
    """

    toy: Toy
    given: np.ndarray
    wrong: np.ndarray
    wanted: np.ndarray


class Claims:
    """The measurements of one model.

    Args:
        adapters: what rows call an adapter -> its name or path; the bars are for the first.
    """

    def __init__(self, model: ModelEntry, run: Run, judge: Judge, adapters: Mapping[str, str]) -> None:
        self.model, self.run, self.judge, self.adapters = model, run, judge, dict(adapters)
        self.shape = (model.default_frames, model.default_height, model.default_width)
        self.seconds: dict[str, list[float]] = {}

    @property
    def ways(self) -> dict[str, dict[str, object]]:
        """Name -> settings of each way of drawing, beside the model's: with each adapter and the right, the wrong or no picture."""
        ways: dict[str, dict[str, object]] = {"picture without adapter": {"image": RIGHT, "strength": 0.0}}
        for name, adapter in self.adapters.items():
            ways[name] = {"image": RIGHT, "adapter": adapter}
            ways[wrong(name)] = {"image": WRONG, "adapter": adapter}
            ways[f"{name}, no picture"] = {"use_reference": False, "adapter": adapter}
        return ways

    def rows(self, instances: int) -> Iterator[Row]:
        """All rows, over `instances` held-out instances (two or more) and SCENES clips of each; errors are over instances."""
        toys = [instance(HELD_OUT_INSTANCES[index]) for index in range(instances)]
        pictures = [reference_pictures(toy, index) for index, toy in enumerate(toys)]
        with TemporaryDirectory() as folder:
            parts = []
            for index, (toy, (given, *others)) in enumerate(zip(toys, pictures, strict=True)):
                shown = Shown(toy, given, pictures[index - 1][0], self.judge.embed(np.stack(others)))
                parts.append(self.one(shown, index, Path(folder)))
        bars = {f"identity gain, {next(iter(self.adapters))}": GAIN}
        for name in parts[0]:
            if known := _finite(part[name] for part in parts):
                yield self._row(name, known, bars.get(name))
        for name, values in self.seconds.items():
            yield self._row(f"seconds, {name}", values)
        yield from self._bars(parts)
        yield from self._compared(parts)

    def one(self, shown: Shown, number: int, folder: Path) -> dict[str, float]:
        """Every figure of one instance, the mean over its cases, and from those its gains."""
        cases = [case_of(shown.toy, number * SCENES + index, self.shape) for index in range(SCENES)]
        tables = [self.figures(shown, case, self.clips(shown, case, folder)) for case in cases]
        mean = {name: float(np.mean([table[name] for table in tables])) for name in tables[0]}
        low, high = mean[f"identity, {BASE}"], mean[f"identity, {TRUE}"]
        return mean | {f"identity gain, {way}": gain(mean[f"identity, {way}"], low, high) for way in self.ways}

    def clips(self, shown: Shown, case: Case, folder: Path) -> dict[str, np.ndarray]:
        """The case drawn in every way, all from one noise, and as it truly looks."""
        own = {"model": self.model.name, "seed": case.seed, "prompt": f"a {shown.toy.shape} {case.words}"} | self.model.defaults()
        clips = {BASE: self.costing(BASE, GenerateRequest.read(own)), TRUE: case.truth}
        for name, pixels in {RIGHT: shown.given, WRONG: shown.wrong}.items():
            Image.fromarray(pixels).save(folder / name)
        asked = own | wishes(self.model, SubjectRequest.method) | {"class_word": shown.toy.shape, "preview_every": 0}
        for way, settings in self.ways.items():
            image = {"image": str(folder / str(settings["image"]))} if "image" in settings else {}
            clips[way] = self.costing(way, SubjectRequest.read(asked | settings | image))
        return clips

    def costing(self, name: str, request: Request) -> np.ndarray:
        """The clip of `request`; what it took is remembered under `name`."""
        result = self.run(request)
        self.seconds.setdefault(name, []).append(float(result.values["seconds"]))
        return result.frames

    def figures(self, shown: Shown, case: Case, clips: Mapping[str, np.ndarray]) -> dict[str, float]:
        """The figures of one case, named "figure, way"."""
        seen = fit(shown.given, *self.shape[1:])
        found = {}
        for way, clip in clips.items():
            found |= {
                f"identity, {way}": similarity(self.judge.embed(clip), shown.wanted),
                f"dynamic degree, {way}": float(is_dynamic(clip)),
                f"speed in px per frame, {way}": float(speeds(optical_flow(clip)).mean()),
                f"motion smoothness, {way}": smoothness(clip),
                f"agreement with the prompt, {way}": self.judge.similarity(clip, f"a {shown.toy.shape} {case.words}"),
                f"first frame like the picture, {way}": flicker(np.stack([seen, clip[0]])),
            }
        return found

    def _bars(self, parts: Sequence[Mapping[str, float]]) -> Iterator[Row]:
        """What the first adapter must not exceed, and what has to be kept."""
        first = next(iter(self.adapters))
        control = [-value for value in _finite(part[f"identity gain, {wrong(first)}"] for part in parts)]
        if control:
            yield self._row(f"control, identity gain, {wrong(first)}, negative", control, -CONTROL)
        for name in self.adapters:
            base, kept = (float(np.mean([part[f"dynamic degree, {way}"] for part in parts])) for way in (BASE, name))
            if base:
                yield self._row(f"dynamic degree, share of the base's, {name}", [kept / base], DYNAMIC if name == first else None)

    def _compared(self, parts: Sequence[Mapping[str, float]]) -> Iterator[Row]:
        """The first adapter less each of the others, instance by instance (Table 3)."""
        first, *others = self.adapters
        figures = ("identity gain", "dynamic degree", "motion smoothness", "first frame like the picture")
        for other, figure in product(others, figures):
            if less := _finite(part[f"{figure}, {first}"] - part[f"{figure}, {other}"] for part in parts):
                yield self._row(f"{figure}, {first} less {other}", less)

    def _row(self, name: str, values: Sequence[float], bar: float | None = None) -> Row:
        return Row.of(f"{self.model.name}: {name}", values, bar)


def wrong(name: str) -> str:
    """What rows call an adapter that is shown the picture of another instance."""
    return f"{name}, wrong picture"


def gain(value: float, low: float, high: float) -> float:
    """Where `value` lies on the way from `low`, 0, to `high`, 1; NaN where there is no such way."""
    return (value - low) / (high - low) if high > low else float("nan")


def smoothness(frames: np.ndarray) -> float:
    """(255 - mean absolute difference of each frame to the mean of its neighbours) / 255 of (T, H, W, 3) uint8, T > 2.

    VBench's motion smoothness with the mean of two frames for the one between them, where theirs is a learnt interpolation.
    """
    clip = frames.astype(np.float64)
    return float(1 - np.abs(clip[1:-1] - (clip[:-2] + clip[2:]) / 2).mean() / 255)


def _finite(values: Iterable[float]) -> list[float]:
    """Those that could be measured."""
    return [value for value in values if np.isfinite(value)]
