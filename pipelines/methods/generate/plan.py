"""Before generating: snap a request to what its model can draw, and estimate time, memory and download. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pipelines.errors import UserError
from pipelines.methods.generate import cost
from pipelines.models.registry import ModelEntry
from pipelines.requests import Request, VideoRequest


@dataclass(frozen=True)
class Plan:
    """What will be run.

    Attributes:
        request: the request with valid sizes and frame count.
        notes: one sentence for each thing that was changed or will have no effect.
    """

    request: Any
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """What a run will cost: seconds without the download, peak bytes of memory, bytes to download first."""

    seconds: float
    memory_bytes: int
    download_bytes: int


def check(request: VideoRequest) -> None:
    """Raise UserError for a request that cannot be run however it is snapped."""
    if not request.prompt.strip():
        raise UserError("The prompt is empty: write what the clip should show.")


def plan(request: VideoRequest, entry: ModelEntry) -> Plan:
    """Snap sides and frame count to the nearest that `entry` can draw, with a note for each change."""
    sides = {"width": snap_side(request.width, entry), "height": snap_side(request.height, entry)}
    planned = snapped(request, entry, sides | {"frames": snap_frames(request.frames, entry)})
    return replace(planned, notes=(*planned.notes, *_without_effect(request)))


def _without_effect(request: VideoRequest) -> Iterator[str]:
    if request.guidance <= 1 and request.negative_prompt.strip():
        yield "The negative prompt has no effect, because guidance is switched off at 1."
    if request.lora.strip() and not request.lora_strength:
        yield "The LoRA has no effect, because its strength is 0."


def snapped(request: Request, entry: ModelEntry, values: dict[str, int]) -> Plan:
    """`request` with these values, and a note for each that was another."""
    changed = {name: value for name, value in values.items() if value != getattr(request, name)}
    return Plan(
        request.model_copy(update=values), tuple(_note(name, getattr(request, name), value, entry) for name, value in changed.items())
    )


def snap_side(pixels: int, entry: ModelEntry) -> int:
    """The nearest multiple of the model's step between its smallest and largest side; a tie goes up."""
    step = entry.size_multiple
    lowest, highest = -(-entry.min_size // step), entry.max_size // step
    return step * min(max(_nearest(pixels, step), lowest), highest)


def snap_frames(frames: int, entry: ModelEntry) -> int:
    """The nearest k * frame_step + 1 within the model's limit; a tie goes up."""
    step = entry.frame_step
    return step * min(max(_nearest(frames - 1, step), 0), (entry.max_frames - 1) // step) + 1


def estimate(request: VideoRequest, entry: ModelEntry, on_disk: bool) -> Estimate:
    """Roughly what `request` (snapped) will cost here: within a factor of two or so, closer once the model has run."""
    shape = cost.shape_of(entry)
    return Estimate(
        seconds=round(cost.seconds(request, entry, shape), 1),
        memory_bytes=cost.memory(request, entry, shape),
        download_bytes=0 if on_disk else entry.bytes,
    )


def _nearest(value: int, step: int) -> int:
    return (2 * value + step) // (2 * step)


def _note(name: str, asked: int, value: int, entry: ModelEntry) -> str:
    if name == "frames":
        rule = f"draws {entry.frame_step}k + 1 frames, up to {entry.max_frames}"
        return f"{asked} frames became {value}, because {entry.title} {rule}."
    rule = f"draws sides of {entry.min_size} to {entry.max_size} px in steps of {entry.size_multiple}"
    return f"{name.capitalize()} {asked} px became {value} px, because {entry.title} {rule}."
