"""Before training grid adapters: what cannot be done, and what it would cost. No torch here."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.errors import UserError
from pipelines.methods.generate import cost
from pipelines.methods.generate.plan import Estimate, Plan, snap_frames
from pipelines.methods.grid.layout import snap_cell
from pipelines.methods.grid.names import FAMILY, OTHER_FAMILY
from pipelines.methods.grid.plan import lattice
from pipelines.methods.grid_training.request import TrainGridRequest
from pipelines.models.registry import ModelEntry
from pipelines.requests import VideoRequest

BACKWARD = 1.5
"""Work of a backward pass in forward passes: the base's own weights need no gradients."""

LEAST_CLIP = 4
"""Clips of a concept that fill a grid of 2 x 2."""


def check(request: TrainGridRequest) -> None:
    """Raise UserError for a request that cannot be run, before any clip is looked at."""
    if bool(request.clips.strip()) == bool(request.drawn):
        raise UserError("Say what to learn from: a folder of clips, or a number of drawn concepts.")
    if request.samples and request.stage != "fill":
        raise UserError("Only filling is learnt from sampled grids: choose that stage, or no samples.")


def plan(request: TrainGridRequest, entry: ModelEntry) -> Plan:
    """Cells on the lattice of the model's tokens. Raises UserError for a model of another family."""
    if entry.family != FAMILY:
        raise UserError(OTHER_FAMILY)
    sizes = {name: snap_cell(2 * getattr(request, name), 2, lattice(entry), entry.min_size, entry.max_size) for name in ("width", "height")}
    sizes["frames"] = snap_frames(request.frames, entry)
    return Plan(request.model_copy(update=sizes), tuple(_changes(request, sizes)))


def _changes(request: TrainGridRequest, sizes: dict[str, int]) -> Iterator[str]:
    for name, value in sizes.items():
        if getattr(request, name) != value:
            yield f"{name.capitalize()} of a cell, {getattr(request, name)}, became {value}, which the model can draw."


def estimate(request: TrainGridRequest, entry: ModelEntry, on_disk: bool) -> Estimate:
    """Roughly what training would cost here: forward and backward passes over grids, without what is made of clips before."""
    shape, side = cost.shape_of(entry), 1 if request.stage == "dynamic" else 2
    grid = VideoRequest(width=side * request.width, height=side * request.height, frames=request.frames, steps=1, guidance=1)
    forward = cost.operations(grid, entry, shape)[0] * request.batch
    return Estimate(
        seconds=round(request.total_steps * forward * (1 + BACKWARD) / cost.speed(entry), 1),
        memory_bytes=cost.memory(grid, entry, shape) + cost.activations(grid, entry, shape) * request.batch,
        download_bytes=0 if on_disk else entry.bytes,
    )
