"""`grid`: clips and words in the cells of a grid in, the whole grid out, and each cell."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.cli.command import Command, UsageError
from pipelines.cli.flags import read_settings
from pipelines.cli.method import add_running, check_out, run_request
from pipelines.errors import UserError
from pipelines.methods.grid.layout import Layout
from pipelines.methods.grid.request import GridRequest

if TYPE_CHECKING:
    from pipelines.cli.report import Report
    from pipelines.events import Event, Result

HELP = "A grid of clips: empty cells are drawn after those that hold a clip, or after words alone."


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cell",
        metavar="PLACE=CLIP|WORDS",
        action="append",
        default=[],
        help="such as top-left=a.mp4 or 'top-right=a red ball in the rain'; both at once: top-left=a.mp4:words",
    )
    parser.add_argument("--out", metavar="FILE", help="the whole grid: .mp4, .gif or .png, or a folder [default: grid-SEED.mp4 here]")
    parser.add_argument("--cells-dir", metavar="FOLDER", type=Path, help="each cell there too, enlarged: top-left.mp4")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    add_running(parser, GridRequest)


def _run(arguments: argparse.Namespace) -> int:
    request = read_settings(arguments, GridRequest)
    if arguments.cell:
        request = GridRequest.read(request.model_dump() | {"cells": cells_of(arguments.cell, Layout.read(request.layout))})
    name_of = check_out(arguments.out, arguments.overwrite, request.method)
    _check_cells(arguments.cells_dir, Layout.read(request.layout), arguments.overwrite)
    return run_request(request, arguments, lambda result, report: _write(result, report, name_of), _keeper(arguments.cells_dir, request))


def cells_of(given: list[str], layout: Layout) -> list[dict[str, str]]:
    """The cells of `layout` by "place=what" each; raises UsageError for a place that is not there or is named twice."""
    places, cells = [name.replace(" ", "-") for name in layout.names], [{} for _ in range(layout.count)]
    for one in given:
        place, equals, what = one.partition("=")
        place = place.strip().lower().replace(" ", "-")
        if not equals or place not in places:
            raise UsageError(f"--cell must be PLACE=CLIP or PLACE=WORDS, and PLACE one of {', '.join(places)}.")
        if cells[places.index(place)]:
            raise UsageError(f"--cell names {place} twice.")
        cells[places.index(place)] = cell_of(what.strip())
    return cells


def cell_of(what: str) -> dict[str, str]:
    """A file that exists is the clip, with words behind a colon if there are any; all else is words."""
    clip, colon, words = what.partition(":")
    if Path(what).is_file():
        return {"clip": what}
    if colon and Path(clip).is_file():
        return {"clip": clip, "text": words.strip()}
    if Path(what).suffix.lower() in (".mp4", ".mov", ".webm", ".mkv", ".avi", ".gif", ".png"):
        raise UserError(f"There is no clip {what[:80]}: check --cell.")
    return {"text": what}


def _check_cells(folder: Path | None, layout: Layout, overwrite: bool) -> None:
    """Raise UserError now for a folder that cannot be written to in the end."""
    if folder is None:
        return
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: choose a folder for the cells.")
    there = [name for name in layout.names if _file(folder, name).exists()]
    if there and not overwrite:
        raise UserError(f"{_file(folder, there[0])} exists already: choose another folder, or add --overwrite to replace it.")


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name.replace(' ', '-')}.mp4"


def _keeper(folder: Path | None, request: GridRequest) -> Callable[[Event], None]:
    """Writes each cell as soon as it is finished."""
    from pipelines.events import Preview
    from pipelines.methods.grid.run import FINISHED

    def keep(event: Event) -> None:
        from pipelines.video import write_clip

        if folder and isinstance(event, Preview) and event.name.endswith(FINISHED):
            folder.mkdir(parents=True, exist_ok=True)
            write_clip(_file(folder, event.name.removesuffix(FINISHED)), event.array, request.fps)

    return keep


def _write(result: Result, report: Report, name_of: Callable[[int], Path]) -> None:
    """The whole grid, and how it went."""
    from pipelines.video import write_clip

    path = write_clip(name_of(result.request.seed), result.frames, result.fps, result.request)
    report.show(result, out=str(path))
    leak = result.values["leak"]
    said = "" if leak is None else f", {leak:.0%} of the attention to words of other cells"
    report.say(f"wrote {path}: {result.values['layout']} cells, {result.values['seconds']:.0f} s{said}")
    if not report.as_json:
        print(path)


COMMAND = Command("grid", HELP, _add_arguments, _run)
