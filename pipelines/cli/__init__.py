"""The command line. Each method is a command by itself; each file of `commands` adds one more.

Exit codes: 0 done; 1 understood but could not be done (one sentence on stderr says why); 2 the command line cannot be
understood or a flag's value is out of range; 130 interrupted. Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from pipelines.cli.command import UsageError, all_commands
from pipelines.cli.interrupts import interruptible
from pipelines.errors import UserError

QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Says what went wrong in one sentence on stderr."""
    debug = False
    try:
        arguments = build_parser().parse_args(argv)
        debug = arguments.debug
        _quieten(debug)
        with interruptible():
            return arguments.run(arguments)
    except UsageError as error:
        return _fail(error, 2, debug)
    except UserError as error:
        return _fail(error, 1, debug)
    except KeyboardInterrupt:
        print("Cancelled.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # a fault of ours is one sentence too; --debug shows where
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return _fail(f"Something went wrong inside ({reason}): run it again with --debug to see where.", 1, debug)


def build_parser() -> argparse.ArgumentParser:
    """The parser with all commands."""
    parser = argparse.ArgumentParser(prog="python -m pipelines", description="Likeness on the command line.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in all_commands():
        sub = commands.add_parser(command.name, help=command.help, description=command.help, allow_abbrev=False)
        sub.set_defaults(run=command.run)
        command.add_arguments(sub)
        add_debug(sub)
    return parser


def add_debug(parser: argparse.ArgumentParser) -> None:
    """Every command can show where an error came from."""
    parser.add_argument("--debug", action="store_true", help="show where an error came from, and the libraries' warnings")


def _quieten(debug: bool) -> None:
    """Libraries keep quiet unless debugging."""
    if not debug:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        if not sys.warnoptions:
            warnings.simplefilter("ignore")


def _fail(error: Exception | str, code: int, debug: bool) -> int:
    if debug and sys.exc_info()[0]:
        sys.excepthook(*sys.exc_info())
    print(f"error: {error}", file=sys.stderr)
    return code
