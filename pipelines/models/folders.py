"""Reading and checking a diffusers model folder without loading it: model_index.json and safetensors headers only."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.errors import NotAvailable, UserError

MAX_HEADER = 100 * 2**20  # the limit of the safetensors format
MAX_JSON = 64 * 2**20
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from `path`; raises UserError naming the file."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise ValueError("too large")
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as JSON: get the model again.") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} holds no settings: get the model again.")
    return data


def pipeline_class(folder: Path) -> str:
    """The diffusers pipeline that `folder` was saved from, as its model_index.json says."""
    index = folder / "model_index.json"
    if not index.is_file():
        raise NotAvailable(f"{folder} is no diffusers model folder, because it has no model_index.json: check the path.")
    return str(read_json(index).get("_class_name", "pipeline of unknown kind"))


def components(folder: Path) -> list[str]:
    """Names of the sub-folders that model_index.json asks for."""
    index = read_json(folder / "model_index.json")
    return [name for name, kind in index.items() if isinstance(kind, list) and len(kind) == 2 and all(kind)]


def read_header(path: Path) -> dict[str, dict[str, Any]]:
    """Tensor name -> dtype, shape and data_offsets of a safetensors file whose length has been checked.

    Source: safetensors format (8 bytes little-endian header length, JSON header, tensor bytes).
    Raises UserError naming the file when the header does not parse or the file is shorter or longer than it says.
    """
    broken = f"{path} is damaged or incomplete: delete it and get the model again."
    try:
        with path.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            if length > MAX_HEADER:
                raise ValueError("header too large")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        end = max((int(tensor["data_offsets"][1]) for tensor in header.values()), default=0)
        shapes = [math.prod(tensor["shape"]) for tensor in header.values()]
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, struct.error, RecursionError) as error:
        raise UserError(broken) from error
    if path.stat().st_size != 8 + length + end or any(size < 0 for size in shapes):
        raise UserError(broken)
    return header


def weight_files(folder: Path, component: str = "") -> list[Path]:
    """All safetensors files below `folder`, or of one component, in order."""
    return sorted((folder / component).glob("*.safetensors" if component else "*/*.safetensors"))


def parameters(folder: Path, component: str = "") -> int:
    """How many weights the safetensors files of `folder` (or of one component) hold."""
    headers = (read_header(path) for path in weight_files(folder, component))
    return sum(math.prod(tensor["shape"]) for header in headers for tensor in header.values())


def folder_bytes(folder: Path) -> int:
    """Size of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def check_folder(folder: Path) -> None:
    """Raise a UserError, naming the file, unless `folder` is a complete diffusers folder with sound safetensors weights."""
    pipeline_class(folder)
    for name in components(folder):
        part = folder / name
        if not part.is_dir():
            raise UserError(f"{folder} is incomplete, because its {name} folder is missing: get the model again.")
        _check_component(part)


def _check_component(part: Path) -> None:
    """A component that has a config and weights must have them whole, and as safetensors."""
    for path in _shards(part):
        if not path.is_file():
            raise UserError(f"{part} is incomplete, because {path.name} is missing: get the model again.")
    weights = weight_files(part.parent, part.name)
    for path in weights:
        read_header(path)
    if not weights and any(path.suffix in PICKLES for path in part.iterdir()):
        raise UserError(f"{part} holds its weights as pickles, which can run code: get the model with safetensors weights.")
    if not weights and (part / "config.json").is_file() and not _is_tokenizer(part):
        raise UserError(f"{part} is incomplete, because its weights are missing: get the model again.")


def _is_tokenizer(part: Path) -> bool:
    return any((part / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json", "spiece.model"))


def _shards(part: Path) -> Iterator[Path]:
    """The files that the component's shard index asks for."""
    for index in part.glob("*.safetensors.index.json"):
        names = read_json(index).get("weight_map", {})
        yield from (part / Path(str(name)).name for name in sorted(set(names.values())))
