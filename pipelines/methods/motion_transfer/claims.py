"""What Motion by Queries claims of motion transfer (Fig. 2): motion fidelity and identity leak over the share of steps with queries.

Sources are held-out clips of the world, of one toy each. Every source is drawn anew with a prompt that says nothing of motion:
once about another toy of the same shape, once about one of another shape.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipelines.evaluation.judge import Judge
from pipelines.evaluation.metrics import identity_leak, track_correlation
from pipelines.evaluation.rows import Row
from pipelines.evaluation.segmenter import Segmenter, centroids
from pipelines.events import Result
from pipelines.methods.motion_transfer.request import MotionRequest
from pipelines.models.registry import ModelEntry
from pipelines.models.wishes import wishes
from pipelines.playground.render import render
from pipelines.playground.scene import HELD_OUT_SEEDS, Scene, caption, sample_scene
from pipelines.playground.vocabulary import COLOURS, PLACES, SHAPES
from pipelines.requests import Request

Run = Callable[[Request], Result]
"""Runs a request to its end."""

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the steps; 0 is the model alone. The model's default is measured too."""

STILL = 0.03
"""Spread of a track, of the frame's side, up to which an axis is at rest: a segmenter's centre wavers by as much."""

CLASSES = ("same class", "other class")
MOVING = ("left", "right", "rise", "fall", "zigzag", "circle", "jump", "swing")


@dataclass(frozen=True)
class Case:
    """A source and what is to be drawn with its motion.

    Attributes:
        source: the scene of the source.
        shapes: class -> shape of the toy that is asked for.
        colour, place: of both.
        seed: of the generation.
    """

    source: Scene
    shapes: dict[str, str]
    colour: str
    place: str
    seed: int

    def prompt(self, kind: str) -> str:
        """Without a word about motion."""
        return f"a {self.colour} {self.shapes[kind]} {PLACES[self.place][0]}"


def case_of(index: int) -> Case:
    """The `index`-th case: a held-out scene of a toy, the camera at rest, one of the motions in turn, asked for in other looks."""
    draw = np.random.default_rng((91, index))
    scene = replace(sample_scene(HELD_OUT_SEEDS[3000 + index], "toy"), camera="static", effects=())
    toy = replace(scene.subjects[-1], motion=MOVING[index % len(MOVING)])
    others = {"shape": list(SHAPES), "colour": list(COLOURS), "background": list(PLACES)}
    labels = scene.labels()
    shape, colour, place = (str(draw.choice([one for one in names if one != labels[name]])) for name, names in others.items())
    return Case(replace(scene, subjects=(toy,)), {"same class": toy.shape, "other class": shape}, colour, place, index)


@dataclass(frozen=True)
class Found:
    """Figures of one clip beside its source; NaN where there is nothing to measure."""

    fidelity: float
    track: float
    leak: float
    shape_seen: bool


class Claims:
    """The measurements of one model."""

    def __init__(self, model: ModelEntry, run: Run, judge: Judge, segmenter: Segmenter) -> None:
        self.model, self.run, self.judge, self.segmenter = model, run, judge, segmenter
        self.shape = (model.default_frames, model.default_height, model.default_width)
        self.default = float(wishes(model, MotionRequest.method).get("strength", MotionRequest.model_fields["strength"].default))
        self.strengths = sorted({*STRENGTHS, self.default})

    def rows(self, sources: int) -> Iterator[Row]:
        """All rows over `sources` held-out sources; errors are over sources."""
        cases = [case_of(index) for index in range(sources)]
        found = {(kind, strength): [] for kind in CLASSES for strength in self.strengths}
        with TemporaryDirectory() as folder:
            for case in cases:
                for where, figures in self.one(case, Path(folder)):
                    found[where].append(figures)
        yield from self._curves(found)
        yield from self._bars(found)

    def one(self, case: Case, folder: Path) -> Iterator[tuple[tuple[str, float], Found]]:
        """(class, strength) -> figures, of one source."""
        from pipelines.video import write_clip

        frames = render(case.source, *self.shape).frames
        source = write_clip(folder / f"{case.seed}.png", frames, self.model.fps)
        track = self._track(frames, case.source.labels()["colour"], case.source.labels()["shape"])
        said = {"source": str(source), "source_prompt": caption(case.source)}
        base = {"model": self.model.name, "seed": case.seed} | said | self.model.defaults()
        base |= wishes(self.model, MotionRequest.method)
        for kind in CLASSES:
            for strength in self.strengths:
                result = self.run(MotionRequest.read(base | {"prompt": case.prompt(kind), "strength": strength}))
                yield (kind, strength), self._found(result, case, kind, frames, track)

    def _found(self, result: Result, case: Case, kind: str, source: np.ndarray, track: np.ndarray) -> Found:
        fidelity, clip = result.values["motion_fidelity"], result.frames
        return Found(
            fidelity=float("nan") if fidelity is None else fidelity,
            track=track_correlation(track, self._track(clip, case.colour, case.shapes[kind]), STILL * min(self.shape[1:])),
            leak=identity_leak(self.judge.embed(clip), self.judge.embed(source)),
            shape_seen=self.judge.attributes(clip)["shape"][0] == case.shapes[kind],
        )

    def _track(self, clip: np.ndarray, colour: str, shape: str) -> np.ndarray:
        return centroids(self.segmenter.masks(clip, f"a {colour} {shape}"))

    def _curves(self, found: dict[tuple[str, float], list[Found]]) -> Iterator[Row]:
        """Fig. 2: both classes, each with its error; leak also as a difference from the same clip without the source."""
        for (kind, strength), clips in found.items():
            where = f"{self.model.name}: {kind}, {strength:.0%} of the steps"
            yield from _row(f"{where}: motion fidelity", [clip.fidelity for clip in clips])
            yield from _row(f"{where}: centroid track like the source's", [clip.track for clip in clips])
            yield from _row(f"{where}: identity leak", [clip.leak for clip in clips])
            if strength:
                before = found[kind, 0.0]
                gained = [clip.leak - alone.leak for clip, alone in zip(clips, before, strict=True)]
                yield from _row(f"{where}: identity leak beyond the model's own", gained)
            yield from _row(f"{where}: the prompt's shape is seen", [float(clip.shape_seen) for clip in clips])

    def _bars(self, found: dict[tuple[str, float], list[Found]]) -> Iterator[Row]:
        """What the default strength is to reach."""
        tracks = {strength: [clip.track for kind in CLASSES for clip in found[kind, strength]] for strength in (0.0, self.default)}
        yield from _row(f"{self.model.name}: centroid track like the source's, default strength", tracks[self.default], 0.8)
        yield from _row(f"{self.model.name}: centroid track unlike the source's without it", [-value for value in tracks[0.0]], -0.3)
        seen = [float(clip.shape_seen) for clip in found["other class", self.default]]
        yield from _row(f"{self.model.name}: the prompt's subject is seen across classes, default strength", seen, 0.85)


def _row(name: str, samples: Sequence[float], bar: float | None = None) -> Iterator[Row]:
    known = [value for value in samples if np.isfinite(value)]
    if known:
        yield Row.of(name, known, bar)


def draw_curves(rows: Sequence[Row], folder: Path) -> None:
    """Write `folder`/motion-MODEL.png: both panels of Fig. 2, a curve with its standard error for each class."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    for model, table in _tables(rows).items():
        figure = Figure(figsize=(10, 4), layout="constrained")
        for place, what in enumerate(("motion fidelity", "identity leak")):
            axes = figure.add_subplot(1, 2, place + 1, xlabel="share of the steps with the source's queries", ylabel=what, title=model)
            for kind in CLASSES:
                strengths = sorted(strength for one, strength, figure in table if (one, figure) == (kind, what))
                known = {strength: table[kind, strength, what] for strength in strengths}
                errors = [row.standard_error or 0 for row in known.values()]
                axes.errorbar(list(known), [row.value for row in known.values()], errors, label=kind, marker="o", capsize=3)
            axes.legend()
            axes.grid(alpha=0.3)
        FigureCanvasAgg(figure).print_png(folder / f"motion-{Path(model).name}.png")


def _tables(rows: Sequence[Row]) -> dict[str, dict[tuple[str, float, str], Row]]:
    """Model -> (class, strength, figure) -> row."""
    tables: dict[str, dict[tuple[str, float, str], Row]] = {}
    for row in rows:
        if found := re.fullmatch(r"(.+): (.+ class), (\d+)% of the steps: (.+)", row.name):
            model, kind, percent, what = found.groups()
            tables.setdefault(model, {})[kind, int(percent) / 100, what] = row
    return tables
