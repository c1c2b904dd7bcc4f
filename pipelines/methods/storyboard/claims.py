"""What Motion by Queries claims of storyboards (Fig. 3, 7 and 17): consistency and motion of every way of drawing a board.

Each board is drawn in every way from the same noise; the shots drawn alone come with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from pipelines.evaluation import metrics
from pipelines.evaluation.judge import Judge
from pipelines.evaluation.rows import Row
from pipelines.events import Event, Preview, Result
from pipelines.methods.storyboard.request import StoryboardRequest
from pipelines.models.registry import ModelEntry
from pipelines.models.wishes import wishes
from pipelines.playground.vocabulary import COLOURS, HAIR_COLOURS, HAIR_STYLES, MOTIONS, PERSON_MOTIONS, PLACES, SHAPES
from pipelines.requests import Request

Run = Callable[[Request], Iterator[Event]]

SHOTS = 4
SLOWEST = 90.0
GAIN = "gain in set consistency"
OTHERS = 3
"""Only one in so many boards is drawn in the other ways too."""

WAYS: dict[str, dict[str, object]] = {
    "two phases": {},
    "shared attention alone": {"keep_queries": False, "flow_queries": False, "refine": False},
    "shared attention over all frames": {"sharing": "all frames", "keep_queries": False, "flow_queries": False, "refine": False},
    "kept queries throughout": {"keep_until": 0.0},
    "two phases without refinement": {"refine": False},
    "query dropout 0.4": {"dropout": 0.4},
    "three passes": {"passes": "three"},
}
"""Name -> what is set beside the defaults (claims 2 to 4)."""

MOVING = ("left", "right", "rise", "fall", "bounce", "jump", "circle", "swing")
ACTING = ("turn", "nod", "look around", "left", "right", "sway")
"""Motions of toys, and of people."""


def board_of(index: int, *, tuning: bool = False) -> dict[str, object]:
    """Character, shots and seed of the `index`-th board; those for tuning are others than those that are reported.

    Every other one is about a person, whose words leave the face open; those of a toy leave less.
    """
    draw = np.random.default_rng((87 if tuning else 88, index))
    character, deeds = _person(draw) if index % 2 else _toy(draw)
    places = draw.choice(list(PLACES), SHOTS, replace=False)
    shots = [{"text": f"{deed} {PLACES[place][0]}"} for deed, place in zip(deeds, places, strict=True)]
    return {"prompt": character, "shots": shots, "seed": int(draw.integers(2**31 - SHOTS))}


def _toy(draw: np.random.Generator) -> tuple[str, list[str]]:
    motions = draw.choice(MOVING, SHOTS, replace=False)
    return f"a {draw.choice(list(COLOURS))} {draw.choice(SHAPES)}", [MOTIONS[motion][0] for motion in motions]


def _person(draw: np.random.Generator) -> tuple[str, list[str]]:
    hair = HAIR_STYLES[draw.choice(list(HAIR_STYLES))][0].format(draw.choice(list(HAIR_COLOURS)))
    motions = draw.choice(ACTING, SHOTS, replace=False)
    return f"a person with {hair} wearing {draw.choice(list(COLOURS))}", [PERSON_MOTIONS[motion][0] for motion in motions]


class Claims:
    """The measurements of one model.

    Args:
        ways: of drawing a board, see WAYS.
    """

    def __init__(self, model: ModelEntry, run: Run, judge: Judge, ways: dict[str, dict[str, object]] | None = None) -> None:
        self.model, self.run, self.judge, self.ways = model, run, judge, WAYS if ways is None else ways

    def rows(self, boards: int, *, tuning: bool = False) -> Iterator[Row]:
        """All rows over so many boards, for every way but the first a third of them; errors are over boards."""
        found: dict[str, list[dict[str, float]]] = {}
        for number, (way, settings) in enumerate(self.ways.items()):
            for index in range(max(1, boards // OTHERS) if number else boards):
                board = self._base() | board_of(index, tuning=tuning)
                ours, alone = self.one(StoryboardRequest.read(board | settings))
                found.setdefault(way, []).append(ours)
                if number == 0:
                    found.setdefault("alone", []).append(alone)
        for way, boards_found in found.items():
            for name in boards_found[0]:
                yield from self._row(f"{way}: {name}", [figures[name] for figures in boards_found])
        yield from self._bars(found)

    def _base(self) -> dict[str, object]:
        return {"model": self.model.name} | self.model.defaults() | wishes(self.model, StoryboardRequest.method)

    def one(self, request: StoryboardRequest) -> tuple[dict[str, float], dict[str, float]]:
        """Figures of a board, and of its shots drawn alone."""
        clips: dict[str, list[np.ndarray]] = {"": [], "_alone": []}
        for event in self.run(request):
            if isinstance(event, Preview) and (shown := re.fullmatch(r"shot \d+(, alone)?, finished", event.name)):
                clips["_alone" if shown[1] else ""].append(event.array)
            if isinstance(event, Result):
                values = event.values
        ours, alone = (self._figures(request, shots, values, end) for end, shots in clips.items())
        gained = {GAIN: ours["set consistency"] - alone["set consistency"]}
        return ours | gained | {"seconds for a board": values["seconds"]}, alone

    def _figures(self, request: StoryboardRequest, clips: Sequence[np.ndarray], values: dict[str, object], end: str) -> dict[str, float]:
        consistency = values.get(f"consistency{end}")
        speeds = [float(metrics.speeds(metrics.optical_flow(clip)).mean()) / min(clip.shape[1:3]) for clip in clips if len(clip) > 1]
        agreement = [self.judge.similarity(clip, request.words(number)) for number, clip in enumerate(clips)]
        return {
            "set consistency": float("nan") if consistency is None else float(consistency),
            "dynamic degree": float(np.mean(values[f"dynamic{end}"])),
            "mean speed, of the side per frame": float(np.mean(speeds)) if speeds else float("nan"),
            "agreement with the prompts": float(np.mean(agreement)),
        }

    def _bars(self, found: dict[str, list[dict[str, float]]]) -> Iterator[Row]:
        """The first way beside the shots drawn alone."""
        ours, alone = next(iter(found.values())), found["alone"]
        if gains := _known([figures[GAIN] for figures in ours]):
            yield from self._row(GAIN, gains, 2 * (Row.of("", gains).standard_error or 0.0))
        for name, share in (("dynamic degree", 0.65), ("agreement with the prompts", 0.95)):
            mine, its = (np.mean([figures[name] for figures in part]) for part in (ours, alone))
            if its > 0:
                yield from self._row(f"{name}, share of that alone", [float(mine / its)], share)
        seconds = [figures["seconds for a board"] for figures in ours]
        yield from self._row("seconds for a board, negative", [-value for value in seconds], -SLOWEST)

    def _row(self, name: str, samples: Sequence[float], bar: float | None = None) -> Iterator[Row]:
        if known := _known(samples):
            yield Row.of(f"{self.model.name}: {name}", known, bar)


def _known(samples: Sequence[float]) -> list[float]:
    """Those that could be measured."""
    return [value for value in samples if np.isfinite(value)]


def draw_trade_off(rows: Sequence[Row], folder: Path) -> None:
    """Write `folder`/storyboard-MODEL.png: every way at its dynamic degree and set consistency, with both errors (as Fig. 17)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tables: dict[str, dict[str, dict[str, Row]]] = {}
    for row in rows:
        if found := re.fullmatch(r"(.+?): (.+): (set consistency|dynamic degree)", row.name):
            model, way, what = found.groups()
            tables.setdefault(model, {}).setdefault(way, {})[what] = row
    for model, ways in tables.items():
        figure = Figure(figsize=(7, 5), layout="constrained")
        axes = figure.add_subplot(xlabel="dynamic degree", ylabel="set consistency", title=model)
        for way, figures in ways.items():
            if len(figures) < 2:
                continue
            across, up = figures["dynamic degree"], figures["set consistency"]
            axes.errorbar(across.value, up.value, up.standard_error or 0, across.standard_error or 0, marker="o", capsize=2, label=way)
        axes.legend()
        axes.grid(alpha=0.3)
        FigureCanvasAgg(figure).print_png(folder / f"storyboard-{Path(model).name}.png")
