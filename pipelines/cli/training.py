"""Trainings that put an adapter into a folder: `train-face` and `train-subjects`.

Several cards train together when the same command line is started by torchrun (`torchrun --nproc-per-node 8 -m pipelines train-face
...`): each takes samples of its own, and the first one speaks and writes. With ACCELERATE_USE_FSDP=true, or started by `accelerate
launch --use_fsdp`, those that train faces share the adapter's weights and the optimiser's memory too.
"""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.cli.command import Command
from pipelines.cli.flags import read_settings
from pipelines.cli.method import add_running, run_request
from pipelines.requests import Request

if TYPE_CHECKING:
    from pipelines.cli.report import Report
    from pipelines.events import Result


def training_command(kind: type[Request], usual: str) -> Command:
    """The command that trains as requests of `kind` say, into the folder `usual` unless told otherwise."""
    first_line = (kind.__doc__ or kind.method).strip().splitlines()[0]
    return Command(kind.method, first_line, partial(_add_arguments, kind, usual), partial(_run, kind))


def _add_arguments(kind: type[Request], usual: str, parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        type=Path,
        default=Path(usual),
        help=f"the adapter; a training that was stopped goes on [default: {usual}]",
    )
    add_running(parser, kind)


def _run(kind: type[Request], arguments: argparse.Namespace) -> int:
    request = read_settings(arguments, kind, {"folder": str(arguments.out)})
    arguments.quiet = arguments.quiet or not _first()
    return run_request(request, arguments, lambda result, report: _say(result, report, arguments.out))


def _say(result: Result, report: Report, out: Path) -> None:
    report.show(result, out=str(out))
    report.say(f"wrote {out}, loss {result.values['loss']:.4f}")
    if not report.as_json and _first():
        print(out)


def _first() -> bool:
    """Whether this is the first of several processes that torchrun started, or the only one."""
    return os.environ.get("RANK", "0") == "0"
