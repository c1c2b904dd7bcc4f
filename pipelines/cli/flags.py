"""A request model as flags, and flags back to a request."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from pipelines.cli.command import UsageError
from pipelines.errors import UserError
from pipelines.models.registry import entry
from pipelines.models.wishes import wishes
from pipelines.requests import Request

GIVEN = "setting_"  # argparse names of the settings, so that they cannot meet other flags


def add_settings(parser: argparse.ArgumentParser, kind: type[Request]) -> None:
    """One flag for each setting of `kind`, with its label, help, unit, limits and default."""
    groups = {False: parser.add_argument_group("settings"), True: parser.add_argument_group("advanced settings")}
    for name, row in kind.settings().items():
        options: dict[str, Any] = {"dest": GIVEN + name, "default": argparse.SUPPRESS, "help": _help(row, name in kind.by_model)}
        if row.get("type") == "boolean":
            options["action"] = argparse.BooleanOptionalAction
        else:
            options["metavar"] = {"integer": "N", "number": "X", "string": "TEXT"}.get(row.get("type", ""), "JSON")
        groups[bool(row["advanced"])].add_argument(f"--{name.replace('_', '-')}", **options)


def _help(row: dict[str, Any], by_model: bool) -> str:
    """ "Label. Help [unit; 16 to 2048; default 64]", with argparse's own mark escaped."""
    facts = [row["unit"]] if row["unit"] else []
    if row["choices"]:
        facts.append("one of " + ", ".join(map(str, row["choices"])))
    if "minimum" in row and "maximum" in row:
        facts.append(f"{row['minimum']:g} to {row['maximum']:g}" if row["maximum"] < 10**6 else f"{row['minimum']:g} or more")
    if "maxLength" in row:
        facts.append(f"at most {row['maxLength']} characters")
    if by_model:
        facts.append("default: the model's")
    elif row.get("default") not in (None, ""):
        default = row["default"]
        facts.append(f"default {default:.4g}" if isinstance(default, float) else f"default {default}")
    text = f"{row['label']}. {row['help']}" if row["help"] else f"{row['label']}."
    return (text + (f" [{'; '.join(facts)}]" if facts else "")).replace("%", "%%")


def read_settings(arguments: argparse.Namespace, kind: type[Request], values: dict[str, Any] | None = None) -> Request:
    """The request of a command line: the file given with --request, or the model's defaults, then `values`; flags win over all.

    Raises UsageError for a flag's value that does not fit, UserError for a file or a model that cannot be used.
    """
    given = {name.removeprefix(GIVEN): value for name, value in vars(arguments).items() if name.startswith(GIVEN)}
    given = {name: _parsed(name, value, kind) for name, value in given.items()}
    path = arguments.request
    values = values or {}
    start = request_file(Path(path), kind).model_dump() if path else _model_defaults(values | given, kind)
    try:
        return kind.read(start | values | given)
    except UserError as error:
        raise UsageError(str(error)) from error


def _model_defaults(given: dict[str, Any], kind: type[Request]) -> dict[str, Any]:
    if "model" not in kind.model_fields:
        return {}
    model = entry(str(given.get("model", kind.model_fields["model"].default)))
    own = model.defaults() | wishes(model, kind.method)
    return {name: value for name, value in own.items() if name in kind.model_fields and name in kind.by_model}


def _parsed(name: str, value: Any, kind: type[Request]) -> Any:
    """Lists and nested settings are written as JSON; pydantic reads numbers out of text by itself."""
    row = kind.settings()[name]
    if row.get("type") in ("string", "integer", "number", "boolean") or "anyOf" in row:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{row['label']} must be written as JSON.") from error


def request_file(path: Path, kind: type[Request]) -> Request:
    """The request in a clip made here, or in a JSON file (a saved request, or just its fields). Raises UserError."""
    from pipelines.video.metadata import MAX_COMMENT, kind_of, read_request

    if kind_of(path) == "json" and path.stat().st_size <= MAX_COMMENT:
        fields = _plain_fields(path)
        if fields is not None:
            return kind.read(fields)
    request = read_request(path)
    if request.method != kind.method:
        raise UserError(f"{path.name} holds settings for {request.method}: run `python -m pipelines {request.method} --request {path}`.")
    return request


def _plain_fields(path: Path) -> dict[str, Any] | None:
    """The fields of a JSON object without our envelope; None if it has one."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path.name} cannot be read as JSON: check it, or choose another file.") from error
    return None if "method" in data and "request" in data else data
