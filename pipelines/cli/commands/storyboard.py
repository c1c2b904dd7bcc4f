"""`storyboard`: a board in, a film of it out, and each shot."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.cli.command import Command, UsageError
from pipelines.cli.flags import GIVEN, read_settings
from pipelines.cli.method import add_running, run_request
from pipelines.errors import UserError
from pipelines.methods.storyboard.request import StoryboardRequest

if TYPE_CHECKING:
    from pipelines.cli.report import Report
    from pipelines.events import Event, Result

HELP = "The same character through several shots: a film with cuts, and each shot, in a folder."
FILM, UNFINISHED = "film.mp4", "unfinished"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--board", metavar="FILE", type=Path, help="JSON with character, style and shots, or a text with a shot in each line"
    )
    parser.add_argument(
        "--shot",
        metavar="N",
        type=int,
        action="append",
        default=[],
        help="only this one, from 1, anew with --seed; may be repeated",
    )
    parser.add_argument(
        "--out", metavar="FOLDER", type=Path, default=Path("board"), help="where the film goes; a board that was stopped goes on"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the film and the shots that are in the folder")
    add_running(parser, StoryboardRequest)


def _run(arguments: argparse.Namespace) -> int:
    request, out = read_settings(arguments, StoryboardRequest, _board(arguments.board)), arguments.out
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: choose a folder for the film and its shots.")
    if not (arguments.overwrite or arguments.shot) and (out / FILM).exists():
        raise UserError(f"{out / FILM} exists already: choose another folder, or add --overwrite to replace it.")
    if any(number < 1 for number in arguments.shot):
        raise UsageError("--shot counts from 1.")
    only = tuple(number - 1 for number in arguments.shot) or request.only
    changed = {"only": only, "folder": str(out / UNFINISHED)}
    if arguments.shot and hasattr(arguments, GIVEN + "seed"):
        shots = enumerate(request.shots)
        changed["shots"] = tuple(shot.model_copy(update={"seed": -1}) if number in only else shot for number, shot in shots)
    asked = StoryboardRequest.read(request.model_dump() | changed)
    return run_request(asked, arguments, lambda result, report: _write(result, report, out), _keeper(out, asked))


def _board(file: Path | None) -> dict[str, object]:
    """What the file of the board says."""
    from pipelines.methods.storyboard.boards import read_board

    if file is None:
        return {}
    try:
        return read_board(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The board {file} cannot be read: check --board.") from error


def _keeper(out: Path, request: StoryboardRequest) -> Callable[[Event], None]:
    """Writes each shot as soon as it is finished, so that stopping keeps it."""
    from pipelines.events import Preview

    def keep(event: Event) -> None:
        from pipelines.video import write_clip

        if isinstance(event, Preview) and (found := re.fullmatch(r"shot (\d+)(, alone)?, finished", event.name)):
            out.mkdir(parents=True, exist_ok=True)
            write_clip(out / f"shot-{found[1]}{'-alone' if found[2] else ''}.mp4", event.array, request.fps)

    return keep


def _write(result: Result, report: Report, out: Path) -> None:
    """The film, unless single shots were asked for, and the board it was made from."""
    from pipelines.video import write_clip

    out.mkdir(parents=True, exist_ok=True)
    if not result.request.only:
        write_clip(out / FILM, result.frames, result.fps, result.request)
    (out / "board.json").write_text(result.request.to_json(), encoding="utf-8")
    report.show(result, out=str(out))
    values, said = result.values, ""
    if values.get("consistency") is not None:
        said = f", the character alike at {values['consistency']:.3f} (alone {values['consistency_alone'] or 0:.3f})"
    report.say(f"wrote {out}: {len(values['shots'])} shots, {values['seconds']:.0f} s{said}")
    if not report.as_json:
        print(out)


COMMAND = Command("storyboard", HELP, _add_arguments, _run)
