"""`train-grid`: clips in, a folder with grid adapters out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.cli.command import Command
from pipelines.cli.flags import read_settings
from pipelines.cli.method import add_running, run_request
from pipelines.methods.grid_training.request import TrainGridRequest

if TYPE_CHECKING:
    from pipelines.cli.report import Report
    from pipelines.events import Result

HELP = "Learn to fill grids, stage by stage: adapters for the grid command, kept in a folder."


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", metavar="FOLDER", type=Path, default=Path("grid-adapters"), help="the adapters; a training that was stopped goes on"
    )
    add_running(parser, TrainGridRequest)


def _run(arguments: argparse.Namespace) -> int:
    request = read_settings(arguments, TrainGridRequest, {"folder": str(arguments.out)})
    return run_request(request, arguments, lambda result, report: _say(result, report, arguments.out))


def _say(result: Result, report: Report, out: Path) -> None:
    report.show(result, out=str(out))
    report.say(f"wrote {out}: {result.request.stage}, {result.values['steps']} steps, loss {result.values['loss']:.4f}")
    if not report.as_json:
        print(out)


COMMAND = Command("train-grid", HELP, _add_arguments, _run)
