"""`evaluate`: figures of the models and methods, measured on this machine."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.cli.command import Command
from pipelines.cli.method import add_home

if TYPE_CHECKING:
    import numpy as np

    from pipelines.evaluation.eyes import Eyes
    from pipelines.evaluation.rows import Row
    from pipelines.models.registry import ModelEntry
    from pipelines.models.store import ModelStore

CAPTIONS, QUICK_CAPTIONS = 64, 8


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["playground"], help="playground: the embedded models on held-out scenes")
    parser.add_argument("--model", action="append", metavar="NAME", help="only this video model; repeat for more (default: all embedded)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_CAPTIONS} captions instead of {CAPTIONS}")
    add_home(parser)


def _run(arguments: argparse.Namespace) -> int:
    from pipelines.backbones import open_store
    from pipelines.evaluation.eyes import open_eyes, rows_of_eyes
    from pipelines.evaluation.rows import write_report
    from pipelines.models.registry import embedded, entry

    count = QUICK_CAPTIONS if arguments.quick else CAPTIONS
    models = [entry(name) for name in arguments.model] if arguments.model else embedded()
    store, eyes, rows = open_store(arguments.home), open_eyes(), []
    for part in (rows_of_eyes(eyes, arguments.quick), *(_rows_of(model, store, eyes, count) for model in models)):
        for row in part:
            rows.append(row)
            print(f"{row.name}: {row.value:.4g}", flush=True)
    print()
    if eyes.missing():
        print(f"Left out are the figures that need {', '.join(eyes.missing())}, not trained yet.")
    about = {
        "models": [model.name for model in models],
        "captions": count,
        "scenes": "held out",
        "missing": eyes.missing(),
    }
    write_report(rows, arguments.json, about)
    return 0


def _rows_of(model: ModelEntry, store: ModelStore, eyes: Eyes, count: int) -> Iterator[Row]:
    from pipelines.evaluation.playground import evaluate
    from pipelines.events import Result
    from pipelines.methods import run
    from pipelines.methods.generate.request import GenerateRequest

    def draw(prompt: str, seed: int, frames: int | None = None) -> np.ndarray:
        values = model.defaults() | ({"frames": frames} if frames else {})
        *_, last = run(GenerateRequest(model=model.name, prompt=prompt, seed=seed, **values), store)
        assert isinstance(last, Result)
        return last.frames

    with store.use(model.name) as backbone:
        yield from evaluate(model.name, backbone, draw, (model.default_frames, model.default_height, model.default_width), eyes, count)


COMMAND = Command("evaluate", "figures of the models and methods, measured on this machine", _add_arguments, _run)
