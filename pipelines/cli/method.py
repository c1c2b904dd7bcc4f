"""A method as a command: flags from its request, events to the terminal, the clip to a file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.cli.command import Command, UsageError
from pipelines.cli.flags import add_settings, read_settings
from pipelines.cli.interrupts import heed
from pipelines.errors import UserError
from pipelines.requests import Request

if TYPE_CHECKING:
    from pipelines.cli.report import Report
    from pipelines.events import Event, Result


def method_command(kind: type[Request]) -> Command:
    """The command that runs the method of `kind`."""
    first_line = (kind.__doc__ or kind.method).strip().splitlines()[0]
    return Command(kind.method, first_line, partial(_add_arguments, kind), partial(_run, kind))


def _add_arguments(kind: type[Request], parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="FILE", help=f"the clip: .mp4, .gif or .png, or a folder [default: {kind.method}-SEED.mp4 here]")
    parser.add_argument("--overwrite", action="store_true", help="replace the file of --out if it exists")
    add_running(parser, kind)


def add_running(parser: argparse.ArgumentParser, kind: type[Request]) -> None:
    """What every method has: where settings come from, what is shown, the machine, and the settings themselves."""
    parser.add_argument("--request", metavar="FILE", help="start from the settings in a JSON file or a clip made here; flags win")
    parser.add_argument("--previews", metavar="FOLDER", help="save every preview there, as png or npz")
    parser.add_argument("--json", action="store_true", help="print every event as a line of JSON on stdout")
    parser.add_argument("--estimate", action="store_true", help="only say how long it would take, and what memory and download")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    add_machine(parser)
    add_settings(parser, kind)


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Flags of every command that loads a model."""
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda [default: auto]")
    parser.add_argument("--placement", default="auto", help="auto, gpu, offload, low or cpu [default: auto, by free memory]")
    add_home(parser)


def add_home(parser: argparse.ArgumentParser) -> None:
    """Where downloads are."""
    default = "LIKENESS_HOME, or the user's data folder"
    parser.add_argument("--home", metavar="FOLDER", type=Path, help=f"folder of downloaded models [default: {default}]")


def _run(kind: type[Request], arguments: argparse.Namespace) -> int:
    name_of = check_out(arguments.out, arguments.overwrite, kind.method)
    return run_request(read_settings(arguments, kind), arguments, lambda result, report: _write_clip(result, report, name_of))


def run_request(
    request: Request, arguments: argparse.Namespace, finish: Callable[[Result, Report], None], watch: Callable[[Event], None] | None = None
) -> int:
    """Run `request`, or estimate it, as the flags of `add_running` say.

    `finish` is given the result and tells of it, `watch` all that comes before.
    """
    from pipelines.backbones import open_store
    from pipelines.cli.estimate import show_estimate
    from pipelines.cli.report import Report
    from pipelines.methods import run

    if arguments.estimate:
        return show_estimate(request, open_store(arguments.home), arguments.json)
    report = Report(arguments.json, Path(arguments.previews) if arguments.previews else None, arguments.quiet)
    store = open_store(arguments.home, arguments.device, arguments.placement)
    try:
        _follow(run(request, store), report, finish, watch)
    finally:
        report.end()
    return 0


def _follow(
    events: Iterator[Event], report: Report, finish: Callable[[Result, Report], None], watch: Callable[[Event], None] | None
) -> None:
    """Show events until the end; closing the iterator, whatever happens, is what cancels the method."""
    from pipelines.events import Result

    with closing(events):
        for event in events:
            heed()
            if isinstance(event, Result):
                for note in event.notes:
                    report.say(f"note: {note}")
                finish(event, report)
            else:
                report.show(event)
                if watch:
                    watch(event)


def _write_clip(result: Result, report: Report, name_of: Callable[[int], Path]) -> None:
    """Write the clip and say where it is."""
    from pipelines.video import write_clip

    if result.frames is None:
        report.show(result)
        return
    seed = getattr(result.request, "seed", 0)
    path = write_clip(name_of(seed), result.frames, result.fps, result.request)
    report.show(result, out=str(path))
    frames, height, width = result.frames.shape[:3]
    report.say(f"wrote {path}: {frames} frames of {width} x {height}, seed {seed}")
    if not report.as_json:
        print(path)


def check_out(out: str | None, overwrite: bool, method: str) -> Callable[[int], Path]:
    """How the clip will be called, given its seed; raises UserError now for a name that cannot work in the end."""
    from pipelines.video import SUFFIXES

    folder = Path(out) if out and Path(out).is_dir() else None
    if out is None or folder:
        return lambda seed: free_name((folder or Path()) / f"{method}-{seed}.mp4")
    path = Path(out)
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--out must end in {', '.join(SUFFIXES)}, or be a folder, not {path.name[:80]!r}.")
    if os.path.exists(path) and not overwrite:
        raise UserError(f"{path} exists already: choose another name, or add --overwrite to replace it.")
    if not os.path.isdir(path.parent) or not os.access(path.parent, os.W_OK):
        raise UserError(f"Nothing can be written to {path.parent}: choose a folder that exists and is yours.")
    return lambda seed: path


def free_name(path: Path) -> Path:
    """`path`, or the same with -2, -3, ... where that exists."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found
