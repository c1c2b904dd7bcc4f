"""What a command is, and which there are."""

from __future__ import annotations

import argparse
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from pipelines.errors import UserError


class UsageError(UserError):
    """The command line itself is wrong."""


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: the word after `python -m pipelines`.
        help: one line.
        add_arguments: adds its flags to a parser.
        run: does it and returns the exit code; raises UserError for what the user can mend.
    """

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def all_commands() -> list[Command]:
    """Every method, then the `COMMAND` of each module in `pipelines.cli.commands`, which may be a method's own."""
    from pipelines.cli import commands
    from pipelines.cli.method import method_command
    from pipelines.methods import REQUESTS

    own = [import_module(f"{commands.__name__}.{module.name}").COMMAND for module in pkgutil.iter_modules(commands.__path__)]
    taken = {command.name for command in own}
    return [method_command(kind) for name, kind in REQUESTS.items() if name not in taken] + own
