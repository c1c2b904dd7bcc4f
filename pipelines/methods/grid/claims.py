"""What the paper claims of filled grids (Table 1, Fig. 7), on held-out toys of the world.

A clip of a toy that no words describe stands in the first cell; the others are asked for under named effects, which the world can
draw too. Identity is a gain: 0 is the same prompt with no clip in the grid, 1 the true picture, both as the judge sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipelines.evaluation.judge import Judge
from pipelines.evaluation.metrics import similarity, temporal_coherence, track_correlation
from pipelines.evaluation.rows import Row
from pipelines.evaluation.segmenter import Segmenter, centroids
from pipelines.events import Result
from pipelines.methods.appearance_warping.claims import reference_pictures
from pipelines.methods.grid.layout import Layout
from pipelines.methods.grid.request import Cell, GridRequest
from pipelines.methods.grid.run import psnr
from pipelines.methods.grid.upsample import LANCZOS, upsampled
from pipelines.models.registry import ModelEntry
from pipelines.models.wishes import wishes
from pipelines.playground.render import render
from pipelines.playground.scene import HELD_OUT_INSTANCES, HELD_OUT_SEEDS, Scene, caption, instance, sample_scene
from pipelines.playground.subjects import Toy
from pipelines.playground.train.stills import look
from pipelines.requests import Request

Run = Callable[[Request], Result]
"""Runs a request to its end."""

RoundTrip = Callable[[np.ndarray], np.ndarray]
"""Frames (T, H, W, 3) uint8 through the autoencoder and back."""

LAYOUT = Layout(2, 2)
EFFECTS = (("rain",), ("purple light", "smoke"), ("back light",), ("water",), ("sparks",))
MOVING = ("left", "right", "rise", "fall", "bounce", "jump", "circle", "swing")
STILL = 0.03
"""Spread of a track, of the cell's side, up to which an axis is at rest: a segmenter's centre wavers by as much."""

EFFECT, GAIN, CONTROL, TRACK, ALL, PSNR, SLOWEST = 0.8, 0.4, 0.1, 0.7, 0.6, 40.0, 60.0
"""Bars: share of cells with their effect, identity gain, that of a wrong clip at most, correlation of tracks, share of cells with all
three, decibels of the visible cell to its round trip, seconds at most."""

OWN, WRONG, BASE, UNMASKED, TRUE = "filled", "wrong clip", "no clip", "without mask", "true picture"


@dataclass(frozen=True)
class Case:
    """A toy, its clip, and what is asked for.

    Attributes:
        toy: looks that no words tell all of.
        scene: of the clip.
        effects: of each cell that is filled.
        seed: of the generation.
    """

    toy: Toy
    scene: Scene
    effects: tuple[tuple[str, ...], ...]
    seed: int

    def shown(self, effects: tuple[str, ...] = ()) -> Scene:
        """The scene under these effects."""
        return replace(self.scene, effects=effects)

    @property
    def words(self) -> list[str]:
        """Of each cell that is filled."""
        return [caption(self.shown(effects)) for effects in self.effects]


def case_of(index: int) -> Case:
    """The `index`-th case: a held-out toy in a held-out scene, the camera at rest, motions and effects in turn."""
    scene = sample_scene(HELD_OUT_SEEDS[70_000 + index], "instance")
    toy = replace(scene.subjects[-1], **look(instance(HELD_OUT_INSTANCES[3000 + index])), motion=MOVING[index % len(MOVING)])
    effects = tuple(EFFECTS[(3 * index + number) % len(EFFECTS)] for number in range(LAYOUT.count - 1))
    return Case(toy, replace(scene, camera="static", effects=(), subjects=(toy,)), effects, index)


@dataclass(frozen=True)
class Filled:
    """Figures of one filled cell; NaN where there is nothing to measure."""

    effect: bool
    gain: float
    track: float

    @property
    def all(self) -> bool:
        """Whether effect, identity and motion hold together."""
        return self.effect and self.gain >= GAIN and self.track >= TRACK


class Claims:
    """The measurements of one model.

    Args:
        round_trip: of the model's autoencoder.
        adapter: name or folder of another adapter than the usual.
    """

    def __init__(self, model: ModelEntry, run: Run, judge: Judge, segmenter: Segmenter, round_trip: RoundTrip, adapter: str = "") -> None:
        self.model, self.run, self.judge, self.segmenter, self.round_trip = model, run, judge, segmenter, round_trip
        self.settings = model.defaults() | wishes(model, GridRequest.method) | ({"adapter": adapter} if adapter else {})
        asked = GridRequest.read(self.settings)
        self.shape = (asked.frames, asked.height // LAYOUT.rows, asked.width // LAYOUT.columns)

    def rows(self, count: int) -> Iterator[Row]:
        """All rows over `count` held-out toys, two or more; errors are over toys, or over cells."""
        cases = [case_of(index) for index in range(count)]
        clips = [render(case.shown(), *self.shape).frames for case in cases]
        with TemporaryDirectory() as folder:
            found = [self.one(case, clips[index], clips[index - 1], Path(folder)) for index, case in enumerate(cases)]
        tables, cells = [table for table, _ in found], [cell for _, part in found for cell in part]
        bars = {f"identity gain, {OWN}": GAIN, "visible cell, PSNR to its round trip in dB": PSNR}
        for name in tables[0]:
            yield from self._row(name, (table[name] for table in tables), bars.get(name))
        yield from self._row("the effect is seen in the cell", (float(cell.effect) for cell in cells), EFFECT)
        yield from self._row("centroid track like the clip's", (cell.track for cell in cells), TRACK)
        yield from self._row("cells with effect, identity and motion", (float(cell.all) for cell in cells), ALL)
        yield from self._row(
            f"control, identity gain, {WRONG}, negative", (-table[f"identity gain, {WRONG}"] for table in tables), -CONTROL
        )
        yield from self._row("seconds for a grid, negative", (-table["seconds"] for table in tables), -SLOWEST)

    def one(self, case: Case, clip: np.ndarray, wrong: np.ndarray, folder: Path) -> tuple[dict[str, float], list[Filled]]:
        """Figures of one toy, and those of its filled cells."""
        from pipelines.video import write_clip

        files = {name: write_clip(folder / f"{name}.png", frames, self.settings["fps"]) for name, frames in ((OWN, clip), (WRONG, wrong))}
        results = {OWN: self.drawn(case, files[OWN]), WRONG: self.drawn(case, files[WRONG]), BASE: self.drawn(case, None)}
        results[UNMASKED] = self.drawn(case, files[OWN], structured=False)
        grids = {way: LAYOUT.cut(result.frames, -3) for way, result in results.items()}
        grids[TRUE] = [clip, *(render(case.shown(effects), *self.shape).frames for effects in case.effects)]
        wanted = self.judge.embed(np.stack(reference_pictures(case.toy, 500 + case.seed)))
        identity = {way: np.array([similarity(self.judge.embed(cell), wanted) for cell in cells[1:]]) for way, cells in grids.items()}
        table = self._table(case, results, grids, identity)
        shown = self.round_trip(clip)
        table["visible cell, PSNR to its round trip in dB"] = psnr(grids[OWN][0], shown)
        table |= self._enlarged(case, shown)
        return table, self._cells(case, grids[OWN], identity, clip)

    def _enlarged(self, case: Case, shown: np.ndarray) -> dict[str, float]:
        """How near to the world's own picture, twice as large, each way of enlarging brings the visible cell as the model shows it."""
        frames, height, width = self.shape
        truth = render(case.shown(), frames, 2 * height, 2 * width).frames
        ways = dict.fromkeys((LANCZOS, self.settings.get("upsampler", LANCZOS)))
        return {f"enlarged by {how}, PSNR to the true picture in dB": psnr(upsampled(shown, 2, how), truth) for how in ways}

    def drawn(self, case: Case, file: Path | None, structured: bool = True) -> Result:
        """The grid with the clip in its first cell; without a clip the same is said of it in words."""
        first = Cell(text=caption(case.shown()), clip=str(file or ""))
        cells = (first, *(Cell(text=words) for words in case.words))
        values = {"model": self.model.name, "seed": case.seed, "structured": structured, "preview_every": 0, "upscale": 1}
        return self.run(GridRequest.read(self.settings | values | {"cells": cells, "layout": str(LAYOUT)}))

    def _table(
        self, case: Case, results: Mapping[str, Result], grids: Mapping[str, Sequence[np.ndarray]], identity: Mapping[str, np.ndarray]
    ) -> dict[str, float]:
        """Figures of a whole grid by name."""
        low, high, table = identity[BASE].mean(), identity[TRUE].mean(), {}
        for way in (OWN, WRONG, UNMASKED):
            table[f"identity gain, {way}"] = share_of_way(identity[way].mean(), low, high)
        for way, cells in grids.items():
            table[f"identity, {way}"] = float(identity[way].mean())
            said = zip(cells[1:], case.words, strict=True)
            table[f"agreement with the words, {way}"] = float(np.mean([self.judge.similarity(cell, words) for cell, words in said]))
            table[f"temporal coherence, {way}"] = float(np.mean([temporal_coherence(self.judge.embed(cell)) for cell in cells[1:]]))
            seen = zip(cells[1:], case.effects, strict=True)
            table[f"the effect is seen, {way}"] = float(np.mean([self._effect(cell) in effects for cell, effects in seen]))
        for way in (OWN, UNMASKED):
            leak = results[way].values["leak"]
            table[f"attention to words of other cells, {way}"] = float("nan") if leak is None else leak
        return table | {"seconds": float(results[OWN].values["seconds"])}

    def _cells(self, case: Case, cells: Sequence[np.ndarray], identity: Mapping[str, np.ndarray], clip: np.ndarray) -> list[Filled]:
        track, still = self._track(clip, case.toy), STILL * min(self.shape[1:])
        return [
            Filled(
                effect=self._effect(cell) in effects,
                gain=share_of_way(*(identity[way][number] for way in (OWN, BASE, TRUE))),
                track=track_correlation(track, self._track(cell, case.toy), still),
            )
            for number, (cell, effects) in enumerate(zip(cells[1:], case.effects, strict=True))
        ]

    def _effect(self, cell: np.ndarray) -> str:
        return self.judge.attributes(cell)["effect"][0]

    def _track(self, cell: np.ndarray, toy: Toy) -> np.ndarray:
        return centroids(self.segmenter.masks(cell, f"a {toy.colour} {toy.shape}"))

    def _row(self, name: str, values: Iterable[float], bar: float | None = None) -> Iterator[Row]:
        if known := [value for value in values if np.isfinite(value)]:
            yield Row.of(f"{self.model.name}: {name}", known, bar)


def share_of_way(value: float, low: float, high: float) -> float:
    """Where `value` lies on the way from `low`, 0, to `high`, 1; NaN where there is no such way."""
    return float((value - low) / (high - low)) if high > low else float("nan")
