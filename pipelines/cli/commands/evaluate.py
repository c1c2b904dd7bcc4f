"""`evaluate`: figures of the models and methods, measured on this machine."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.cli.command import Command
from pipelines.cli.method import add_home
from pipelines.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from pipelines.evaluation.rows import Row
    from pipelines.events import Result
    from pipelines.models.registry import ModelEntry
    from pipelines.models.store import ModelStore
    from pipelines.requests import Request

CAPTIONS, PAIRS, PAIRS_PER_INSTANCE, SOURCES, BOARDS, PEOPLE, INSTANCES, GRIDS = 64, 24, 4, 24, 12, 24, 8, 12


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=list(MEASURES), help="; ".join(f"{name}: {measure.help}" for name, measure in MEASURES.items()))
    parser.add_argument("--model", action="append", metavar="NAME", help="only this video model; repeat for more (default: all embedded)")
    parser.add_argument("--adapter", default="", metavar="NAME", help="face, disentangled: this adapter or folder instead of the usual")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw the curves there, where there are any")
    parser.add_argument("--quick", action="store_true", help="an eighth of the samples")
    add_home(parser)


def _run(arguments: argparse.Namespace) -> int:
    from pipelines.backbones import open_store
    from pipelines.evaluation.rows import write_report
    from pipelines.models.registry import embedded, entry

    measure, rows = MEASURES[arguments.what], []
    models = [entry(name) for name in arguments.model] if arguments.model else embedded()
    count = max(1, measure.samples // (8 if arguments.quick else 1))
    about: dict[str, object] = {"what": arguments.what, "models": [model.name for model in models], measure.unit: count}
    about |= {"scenes": "held out"} | ({"adapter": arguments.adapter} if arguments.adapter else {})
    for row in measure.rows(models, open_store(arguments.home), count, about):
        rows.append(row)
        print(f"{row.name}: {row.value:.4g}", flush=True)
    print()
    write_report(rows, arguments.json, about)
    if arguments.plots and measure.draw:
        arguments.plots.mkdir(parents=True, exist_ok=True)
        measure.draw(rows, arguments.plots)
    return 0


@dataclass(frozen=True)
class Measure:
    """One evaluation.

    Attributes:
        help: what it measures.
        samples: how many of its `unit`.
        rows: (models, store, samples, about) -> rows; may add to what the report says about itself.
        draw: (rows, folder) draws its curves.
    """

    help: str
    samples: int
    unit: str
    rows: Callable[[list[ModelEntry], ModelStore, int, dict[str, object]], Iterator[Row]]
    draw: Callable[[list[Row], Path], None] | None = None


def _playground(models: list[ModelEntry], store: ModelStore, count: int, about: dict[str, object]) -> Iterator[Row]:
    from pipelines.evaluation.apart import side_by_side
    from pipelines.evaluation.eyes import open_eyes
    from pipelines.evaluation.playground import SUBJECTS
    from pipelines.models.placement import resolve_device

    eyes = open_eyes()
    about["missing"] = eyes.missing()
    drawn = [partial(_rows_of, model.name, store.home, store.device, count, of) for of in SUBJECTS for model in models]
    for rows in side_by_side([*drawn, partial(_rows_of_eyes, count < CAPTIONS)], resolve_device(store.device)):
        yield from rows
    if eyes.missing():
        print(f"Left out are the figures that need {', '.join(eyes.missing())}, not trained yet.")


def _v_warper(models: list[ModelEntry], store: ModelStore, count: int, about: dict[str, object]) -> Iterator[Row]:
    from pipelines.evaluation.judge import Judge
    from pipelines.evaluation.segmenter import Segmenter
    from pipelines.methods.appearance_warping.claims import Claims
    from pipelines.methods.appearance_warping.matching import rows

    about["instances"] = max(2, count // PAIRS_PER_INSTANCE)
    judge, segmenter = Judge.load(), Segmenter.load()
    for model in models:
        with store.use(model.name) as backbone:
            yield from rows(backbone, model.name, count, (model.default_frames, model.default_height, model.default_width))
        yield from Claims(model, _to_the_end(store), judge, segmenter).rows(about["instances"])


def _motion(models: list[ModelEntry], store: ModelStore, count: int, about: dict[str, object]) -> Iterator[Row]:
    from pipelines.evaluation.judge import Judge
    from pipelines.evaluation.segmenter import Segmenter
    from pipelines.methods.motion_transfer.claims import Claims

    judge, segmenter = Judge.load(), Segmenter.load()
    for model in models:
        yield from Claims(model, _to_the_end(store), judge, segmenter).rows(count)


def _draw_motion(rows: list[Row], folder: Path) -> None:
    from pipelines.methods.motion_transfer.claims import draw_curves

    draw_curves(rows, folder)


def _storyboard(models: list[ModelEntry], store: ModelStore, count: int, about: dict[str, object]) -> Iterator[Row]:
    from pipelines.evaluation.judge import Judge
    from pipelines.methods import run
    from pipelines.methods.storyboard.claims import Claims

    judge = Judge.load()
    for model in models:
        yield from Claims(model, lambda request: run(request, store), judge).rows(count)


def _face(models: list[ModelEntry], store: ModelStore, count: int, about: dict[str, object]) -> Iterator[Row]:
    from pipelines.evaluation.judge import Judge
    from pipelines.methods.face_identity.claims import Claims

    judge, able = Judge.load(), [model for model in models if model.family == "wan"]
    if not able:
        raise UserError("Faces are kept by models of the Wan family only: name one of those.")
    for model in able:
        yield from Claims(model, _to_the_end(store), judge, str(about.get("adapter", ""))).rows(count)


def _disentangled(models: list[ModelEntry], store: ModelStore, count: int, about: dict[str, object]) -> Iterator[Row]:
    from pipelines.evaluation.judge import Judge
    from pipelines.files import ANYWHERE
    from pipelines.methods.zero_shot_subject.adapters import find_adapter, made_for
    from pipelines.methods.zero_shot_subject.claims import Claims
    from pipelines.methods.zero_shot_subject.gradients import gradient_rows
    from pipelines.methods.zero_shot_subject.names import FAMILY

    given = str(about.get("adapter", ""))
    able = {model: (given,) if given else tuple(one.name for one in made_for(model.name)) for model in models}
    able = {model: adapters for model, adapters in able.items() if adapters and model.family == FAMILY}
    if not able:
        raise UserError("There is no subject adapter for these models on this machine: train one first.")
    about["instances"], judge = max(2, count), Judge.load()
    for model, adapters in able.items():
        yield from Claims(model, _to_the_end(store), judge, {one: one for one in adapters}).rows(about["instances"])
        for one in adapters:
            path = find_adapter(one, ANYWHERE)
            yield from gradient_rows(model.name, one, path if path.is_dir() else path.parent)


def _draw_disentangled(rows: list[Row], folder: Path) -> None:
    from pipelines.methods.zero_shot_subject.gradients import draw_phi

    draw_phi(rows, folder)


def _grid(models: list[ModelEntry], store: ModelStore, count: int, about: dict[str, object]) -> Iterator[Row]:
    from pipelines.evaluation.judge import Judge
    from pipelines.evaluation.segmenter import Segmenter
    from pipelines.methods.grid.claims import Claims
    from pipelines.methods.grid.names import FAMILY, OTHER_FAMILY

    able = [model for model in models if model.family == FAMILY]
    if not able:
        raise UserError(OTHER_FAMILY)
    judge, segmenter, adapter = Judge.load(), Segmenter.load(), str(about.get("adapter", ""))
    about["toys"] = max(2, count)
    for model in able:
        claims = Claims(model, _to_the_end(store), judge, segmenter, partial(_round_trip, store, model.name), adapter)
        yield from claims.rows(about["toys"])


def _round_trip(store: ModelStore, name: str, frames: np.ndarray) -> np.ndarray:
    """Frames (T, H, W, 3) uint8 through the autoencoder of a model and back."""
    with store.use(name) as backbone:
        return backbone.decode_video(backbone.encode_video(frames))


def _draw_storyboard(rows: list[Row], folder: Path) -> None:
    from pipelines.methods.storyboard.claims import draw_trade_off

    draw_trade_off(rows, folder)


def _to_the_end(store: ModelStore) -> Callable[[Request], Result]:
    from pipelines.events import Result
    from pipelines.methods import run

    def finish(request: Request) -> Result:
        *_, last = run(request, store)
        assert isinstance(last, Result)
        return last

    return finish


def _draw_v_warper(rows: list[Row], folder: Path) -> None:
    from pipelines.methods.appearance_warping.matching import draw_curves

    draw_curves(rows, folder)


MEASURES = {
    "playground": Measure("the embedded models on held-out scenes", CAPTIONS, "captions", _playground),
    "v-warper": Measure("matching by layer; identity, agreement and motion of subjects", PAIRS, "pairs", _v_warper, _draw_v_warper),
    "motion": Measure("motion fidelity and identity leak over the strength of motion transfer", SOURCES, "sources", _motion, _draw_motion),
    "storyboard": Measure("set consistency and motion of boards, drawn in every way", BOARDS, "boards", _storyboard, _draw_storyboard),
    "face": Measure("likeness of drawn people to their photos, with each adapter and both", PEOPLE, "people", _face),
    "grid": Measure("effect, identity and motion in filled cells, and words that leak into others", GRIDS, "toys", _grid),
    "disentangled": Measure(
        "identity from one picture, and motion kept, with each adapter", INSTANCES, "instances", _disentangled, _draw_disentangled
    ),
}


def _rows_of_eyes(quick: bool) -> list[Row]:
    from pipelines.evaluation.eyes import open_eyes, rows_of_eyes

    return list(rows_of_eyes(open_eyes(), quick))


def _rows_of(name: str, home: Path, device: str, count: int, subjects: str) -> list[Row]:
    """The rows of one model that are about toys or people, in a process of its own."""
    from pipelines.backbones import open_store
    from pipelines.evaluation.eyes import open_eyes
    from pipelines.evaluation.playground import evaluate
    from pipelines.methods.generate.request import GenerateRequest
    from pipelines.models.registry import entry

    model, store = entry(name), open_store(home, device)
    finish = _to_the_end(store)

    def draw(prompt: str, seed: int, frames: int | None = None) -> np.ndarray:
        values = model.defaults() | ({"frames": frames} if frames else {})
        return finish(GenerateRequest(model=name, prompt=prompt, seed=seed, **values)).frames

    shape = (model.default_frames, model.default_height, model.default_width)
    with store.use(name) as backbone:
        return list(evaluate(name, backbone, draw, shape, open_eyes(), count, (subjects,)))


COMMAND = Command("evaluate", "figures of the models and methods, measured on this machine", _add_arguments, _run)
