"""`evaluate`: figures of the models and methods, measured on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipelines.cli.command import Command
from pipelines.cli.method import add_home


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["playground"], help="playground: the embedded base models on held-out scenes")
    parser.add_argument("--model", default="playground-wan", help="the model to measure (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON")
    parser.add_argument("--quick", action="store_true", help="8 captions instead of 64")
    add_home(parser)


def _run(arguments: argparse.Namespace) -> int:
    from pipelines.backbones import open_store
    from pipelines.evaluation.playground import evaluate
    from pipelines.evaluation.rows import write_report
    from pipelines.events import Result
    from pipelines.methods import run
    from pipelines.methods.generate.request import GenerateRequest
    from pipelines.models.registry import entry

    store, model, count = open_store(arguments.home), entry(arguments.model), 8 if arguments.quick else 64

    def draw(prompt: str, seed: int):
        *_, last = run(GenerateRequest(model=model.name, prompt=prompt, seed=seed, **model.defaults()), store)
        assert isinstance(last, Result)
        return last.frames

    with store.use(model.name) as backbone:
        rows = []
        for row in evaluate(backbone, draw, (model.default_frames, model.default_height, model.default_width), count):
            rows.append(row)
            print(f"{row.name}: {row.value:.4g}", flush=True)
    print()
    write_report(rows, arguments.json, {"model": model.name, "captions": count, "scenes": "held out"})
    return 0


COMMAND = Command("evaluate", "figures of the models and methods, measured on this machine", _add_arguments, _run)
