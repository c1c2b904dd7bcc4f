"""`adapt`: pictures of a subject in, a subject folder out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.cli.command import Command, UsageError
from pipelines.cli.flags import read_settings
from pipelines.cli.method import add_running, run_request
from pipelines.errors import UserError
from pipelines.methods.subject_adaptation.request import AdaptRequest

if TYPE_CHECKING:
    from pipelines.cli.report import Report
    from pipelines.events import Result

HELP = "Learn a subject from a few pictures: an adapter and a word of its own, kept in a folder."


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", metavar="PATH", nargs="+", type=Path, default=[], help="pictures of the subject, or folders of them")
    parser.add_argument(
        "--out", metavar="FOLDER", type=Path, help="the subject; one that is there is trained further [default: subjects/NAME]"
    )
    add_running(parser, AdaptRequest)


def _run(arguments: argparse.Namespace) -> int:
    request = read_settings(arguments, AdaptRequest)
    if not request.name:
        raise UsageError("--name is missing: say what the subject is called.")
    images = tuple(str(file) for path in arguments.images for file in pictures_of(path)) or request.images
    out = arguments.out or Path("subjects") / request.name
    asked = AdaptRequest.read(request.model_dump() | {"images": images, "folder": str(out)})
    return run_request(asked, arguments, lambda result, report: _say(result, report, out))


def pictures_of(path: Path) -> list[Path]:
    """The file itself, or everything in a folder that could be a picture, by name; raises UserError for what is not there."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    if not path.exists():
        raise UserError(f"There is no file or folder called {path}: check --images.")
    return [path]


def _say(result: Result, report: Report, out: Path) -> None:
    report.show(result, out=str(out))
    values = result.values
    report.say(f"wrote {out}: {values['subject']}, {values['steps']} steps, loss {values['loss']:.4f}")
    if not report.as_json:
        print(out)


COMMAND = Command("adapt", HELP, _add_arguments, _run)
