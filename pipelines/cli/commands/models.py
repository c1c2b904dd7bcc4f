"""`models`: what exists and what is on disk; `models download NAME`, `models delete NAME`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from pipelines.cli.command import Command
from pipelines.cli.method import add_home


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")
    add_home(parser)
    parser.set_defaults(models_run=_list)
    actions = parser.add_subparsers(metavar="ACTION", title="actions")
    for name, text, run in (
        ("list", "what exists and what is on disk (the default)", _list),
        ("download", "bring a model to this machine; goes on where an earlier download stopped", _download),
        ("delete", "remove a downloaded model", _delete),
    ):
        # Defaults are left out so that flags in front of the action are not undone by it.
        action = actions.add_parser(name, help=text, description=text, allow_abbrev=False, argument_default=argparse.SUPPRESS)
        action.set_defaults(models_run=run)
        action.add_argument("--json", action="store_true", help="print JSON on stdout")
        action.add_argument("--home", type=parser_path, metavar="FOLDER", help="folder of downloaded models")
        action.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
        if run is not _list:
            action.add_argument("name", metavar="NAME", help="as in the list")


def parser_path(text: str):
    from pathlib import Path

    return Path(text)


def _open(arguments: argparse.Namespace):
    from pipelines.backbones import open_store

    return open_store(arguments.home)


def _list(arguments: argparse.Namespace) -> int:
    from pipelines.cli.report import human_bytes
    from pipelines.models.registry import entries

    store = _open(arguments)
    rows = [(model, store.status(model.name)) for model in entries()]
    if arguments.json:
        print(json.dumps([_as_json(model, status) for model, status in rows], indent=2))
        return 0
    table = [("NAME", "SIZE", "HERE", "CAN", "LICENCE", "")]
    for model, status in rows:
        here = "yes" if status.on_disk else f"{human_bytes(status.partial_bytes)} so far" if status.partial_bytes else "no"
        size = human_bytes(status.bytes or model.bytes)
        table.append((model.name, size, here, ", ".join(model.can) or "not yet", model.licence, model.description))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _as_json(model, status) -> dict:
    state = {"on_disk": status.on_disk, "folder": str(status.folder) if status.folder else None}
    return asdict(model) | state | {"bytes_on_disk": status.bytes, "bytes_partial": status.partial_bytes}


def _download(arguments: argparse.Namespace) -> int:
    from pipelines.cli.report import Report
    from pipelines.models.registry import entry

    store, model, report = _open(arguments), entry(arguments.name), Report(arguments.json)
    steps = store.download(model.name)
    try:
        for step in steps:
            report.show(step)
    finally:
        steps.close()
        report.end()
    report.say(f"{model.title} is in {store.folder(model)}")
    return 0


def _delete(arguments: argparse.Namespace) -> int:
    from pipelines.cli.report import human_bytes
    from pipelines.models.registry import entry

    freed = _open(arguments).delete(arguments.name)
    if arguments.json:
        print(json.dumps({"name": entry(arguments.name).name, "bytes_freed": freed}))
    else:
        print(f"{entry(arguments.name).title}: {human_bytes(freed)} freed" if freed else f"{entry(arguments.name).title} was not on disk")
    return 0


COMMAND = Command("models", "List the models, download or delete one.", _add_arguments, lambda arguments: arguments.models_run(arguments))
