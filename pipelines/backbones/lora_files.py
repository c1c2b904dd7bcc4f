"""Whether a file may be a LoRA of a video transformer, from its header alone: names, sizes and types. No torch here.

Files come from anybody. What passes is safe to hand to diffusers' conversions, which count blocks and divide by what they find.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from pipelines.errors import UserError

LARGEST_RANK = 1024
LARGEST_FILE = 2 * 2**30
"""Bytes; rank 128 on every layer of Wan2.1 14B in half precision has 1.2e9."""

MOST_TENSORS = 10_000
LONGEST_NAME = 200
NAME = re.compile(r"(?:[A-Za-z_]\w*|\d{1,3})(?:\.(?:[A-Za-z_]\w*|\d{1,3}))*", re.ASCII)
"""Small numbers only: converting counts from the first block to the last."""

TYPES = {"F16", "BF16", "F32", "F64"}
DOWN = (".lora_A.weight", ".lora_down.weight")
UP = (".lora_B.weight", ".lora_up.weight")
BESIDE = (".alpha", ".lora_B.bias", ".diff_b", ".diff")


class Header(NamedTuple):
    """What a file says of itself: the shape of each tensor by name, and free text."""

    shapes: dict[str, tuple[int, ...]]
    texts: dict[str, str]


def check_lora(file: Path) -> None:
    """Raise UserError naming `file` unless it may be a LoRA of a video transformer; whether it fits a model shows with the model."""
    ranks_of(file, read_header(file).shapes)


def read_header(file: Path) -> Header:
    """The header of a safetensors file of plain numbers; raises UserError for anything else."""
    if not os.path.isfile(file):  # pathlib's raises for names that are too long
        raise UserError(f"There is no file called {file.name[:80]}: choose the LoRA again.")
    if file.stat().st_size > LARGEST_FILE:
        raise UserError(f"{file.name} has more than {LARGEST_FILE // 2**30} GB: choose a LoRA of a smaller rank or in half precision.")
    try:
        with safe_open(file, framework="np") as opened:
            parts = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118  not a dict
            shapes = {name: tuple(part.get_shape()) for name, part in parts.items()}
            types, texts = {part.get_dtype() for part in parts.values()}, opened.metadata() or {}
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{file.name} cannot be read as safetensors: export the adapter again.") from error
    if not types <= TYPES:
        raise no_lora(file)
    return Header(shapes, texts)


def ranks_of(file: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Module -> rank, of tensors that are pairs of matrices (rank, in) and (out, rank) and what may stand beside them.

    Raises UserError naming `file` for anything else.
    """
    down, up = _ending(shapes, DOWN), _ending(shapes, UP)
    beside = {name for name in shapes if name.endswith(BESIDE)}
    numbers = all(shapes[name] in ((), (1,)) for name in beside if name.endswith(".alpha"))
    named = len(shapes) <= MOST_TENSORS and all(len(name) <= LONGEST_NAME and NAME.fullmatch(name) for name in shapes)
    complete = down and down.keys() == up.keys() and len(shapes) == len(down) + len(up) + len(beside)
    if not (numbers and named and complete and all(_joined(down[module], up[module]) for module in down)):
        raise no_lora(file)
    ranks = {module: shape[0] for module, shape in down.items()}
    if min(ranks.values()) < 1 or max(ranks.values()) > LARGEST_RANK:
        raise UserError(f"{file.name} holds a LoRA of a rank above {LARGEST_RANK} or of none: choose another.")
    return ranks


def no_lora(file: Path) -> UserError:
    """What is said of a file that is something else."""
    return UserError(f"{file.name} holds no LoRA for the transformer of a video model: choose one that diffusers reads.")


def _ending(shapes: Mapping[str, tuple[int, ...]], endings: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Module -> shape of the tensors whose names end so."""
    return {name.removesuffix(end): shape for name, shape in shapes.items() for end in endings if name.endswith(end)}


def _joined(down: tuple[int, ...], up: tuple[int, ...]) -> bool:
    """Whether both are matrices that can be multiplied."""
    return len(down) == len(up) == 2 and down[0] == up[1]
