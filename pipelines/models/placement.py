"""Where a model runs: on the card, on the card with its weights kept in main memory, or on the processor.

gpu      all weights on the card
offload  weights in main memory, groups of layers travel to the card when they are needed
low      like offload, and the weights are stored as 8-bit floats
cpu      everything on the processor
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.errors import NotAvailable, UserError
from pipelines.models.folders import parameters

Placement = Literal["gpu", "offload", "low", "cpu"]
PLACEMENTS: tuple[Placement, ...] = ("gpu", "offload", "low", "cpu")
BYTES_PER_WEIGHT = {"gpu": 2.0, "offload": 2.0, "low": 1.0, "cpu": 4.0}  # bfloat16; 8-bit floats; float32
WORKING_ROOM = 2 * 2**30  # activations and a decoded clip at full size
TIGHT_CARD = 6 * 2**30  # free bytes below which even a group of layers is stored small
GROWTH = 1.1  # buffers and fragmentation


@dataclass(frozen=True)
class Memory:
    """Free bytes on the card (0 without one) and in main memory."""

    card: int
    main: int


def resolve_device(device: str) -> str:
    """ "auto" -> "cuda" if PyTorch can use a card, else "cpu"; other names are checked. Raises UserError."""
    import torch

    if device != "auto" and not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise UserError(f"There is no device called {device[:40]!r}: use auto, cpu or cuda.")
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda" if cards else "cpu"
    number = int(device.partition(":")[2] or 0)
    if device != "cpu" and number >= cards:
        raise NotAvailable(f"PyTorch sees no graphics card {device} on this machine: leave the device on auto, or use cpu.")
    return device


def free_memory(device: str) -> Memory:
    """What is free now."""
    import psutil

    card = 0
    if device != "cpu":
        import torch

        card = torch.cuda.mem_get_info(device)[0]
    return Memory(card, psutil.virtual_memory().available)


def total_memory(device: str) -> int:
    """All bytes of the card `device`, or of main memory for "cpu"."""
    if device == "cpu":
        import psutil

        return psutil.virtual_memory().total
    import torch

    return torch.cuda.mem_get_info(device)[1]


def weight_bytes(folder: Path, placement: Placement) -> int:
    """Bytes that the weights in `folder` take when they are placed so."""
    return int(parameters(folder) * BYTES_PER_WEIGHT[placement])


def choose(device: str, count: int, free: Memory) -> Placement:
    """The fastest placement of a model with `count` weights that fits into `free`."""
    if device == "cpu":
        return "cpu"
    if count * BYTES_PER_WEIGHT["gpu"] * GROWTH + WORKING_ROOM <= free.card:
        return "gpu"
    fits = count * BYTES_PER_WEIGHT["offload"] * GROWTH <= free.main
    return "offload" if fits and free.card >= TIGHT_CARD else "low"


def check_fits(title: str, placement: Placement, count: int, free: Memory) -> None:
    """Raise UserError, with the figures, if the weights cannot be held at all: loading them would take the machine down."""
    needed = count * BYTES_PER_WEIGHT[placement]
    there = free.card if placement == "gpu" else free.main
    if needed > there:
        raise UserError(
            f"{title} needs about {needed / 1e9:.1f} GB of memory and {there / 1e9:.1f} GB are free: "
            "choose a smaller model, or close other programs."
        )


def check_placement(device: str, placement: str) -> None:
    """Raise UserError for a placement that does not exist or does not go with the device."""
    if placement not in PLACEMENTS:
        raise UserError(f"There is no placement called {placement[:40]!r}: use auto, {', '.join(PLACEMENTS)}.")
    if (placement == "cpu") != (device == "cpu"):
        raise UserError(f"The placement {placement} does not go with the device {device}: leave the placement on auto.")


def next_placement(placement: Placement) -> Placement | None:
    """What needs less of the card's memory than `placement`, or None."""
    following: Mapping[Placement, Placement] = {"gpu": "offload", "offload": "low"}
    return following.get(placement)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, on the card or in main memory."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    words = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def out_of_memory(title: str, error: BaseException) -> UserError:
    """The sentence for a person when memory ran out for good."""
    return UserError(
        f"{title} ran out of memory{_amount(str(error))}: choose a smaller size, fewer frames or a smaller model, or close other programs."
    )


def _amount(message: str) -> str:
    """The size that was asked for, out of PyTorch's message."""
    if found := re.search(r"[Tt]ried to allocate ([\d.]+) ?(bytes|[KMGT]iB)", message):
        number, unit = float(found[1]), found[2]
        size = number * {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}[unit]
        return f" (another {size / 1e9:.1f} GB were needed)"
    return ""
