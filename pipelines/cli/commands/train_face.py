"""`train-face`: people in, a folder with a face adapter out.

Several cards train together when the same command line is started by torchrun (`torchrun --nproc-per-node 8 -m pipelines train-face
...`): each takes samples of its own, and the first one speaks and writes.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.cli.command import Command
from pipelines.cli.flags import read_settings
from pipelines.cli.method import add_running, run_request
from pipelines.methods.face_training.request import TrainFaceRequest

if TYPE_CHECKING:
    from pipelines.cli.report import Report
    from pipelines.events import Result

HELP = "Learn to keep faces from many people: an adapter for the face command, kept in a folder."


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", metavar="FOLDER", type=Path, default=Path("face-adapter"), help="the adapter; a training that was stopped goes on"
    )
    add_running(parser, TrainFaceRequest)


def _run(arguments: argparse.Namespace) -> int:
    request = read_settings(arguments, TrainFaceRequest, {"folder": str(arguments.out)})
    arguments.quiet = arguments.quiet or not _first()
    return run_request(request, arguments, lambda result, report: _say(result, report, arguments.out))


def _say(result: Result, report: Report, out: Path) -> None:
    report.show(result, out=str(out))
    report.say(f"wrote {out}: {result.values['steps']} steps, loss {result.values['loss']:.4f}")
    if not report.as_json and _first():
        print(out)


def _first() -> bool:
    """Whether this is the first of several processes that torchrun started, or the only one."""
    return os.environ.get("RANK", "0") == "0"


COMMAND = Command("train-face", HELP, _add_arguments, _run)
