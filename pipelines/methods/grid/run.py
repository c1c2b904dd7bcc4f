"""A grid from its request. torch comes in when the model is loaded."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import UserError
from pipelines.events import Event, Preview, Progress, Result
from pipelines.files import ANYWHERE, Files
from pipelines.methods.generate.lora import find_lora, with_lora
from pipelines.methods.generate.memory import forget_peak, peak
from pipelines.methods.grid.adapters import find_adapter
from pipelines.methods.grid.layout import Layout, tiled
from pipelines.methods.grid.plan import check, composed, given, plan, prompt_of
from pipelines.methods.grid.request import GridRequest
from pipelines.methods.grid.upsample import check_upsampler, upsampled
from pipelines.models.registry import entry, require
from pipelines.models.store import ModelStore

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone
    from pipelines.methods.grid.loop import DrawnGrid, GridSettings

FINISHED = ", finished"
"""Behind the name of a cell, in the Preview that is the cell's clip."""


def run(request: GridRequest, store: ModelStore, files: Files = ANYWHERE) -> Iterator[Event]:
    """Fill the grid of `request`; closing the iterator cancels within a step.

    Yields Progress; Previews "given" and "mask" before the drawing begins, "denoised" and "leakage" as often as asked, and for each
    cell, enlarged, "top left, finished"; last a Result with the whole grid as it was drawn. Raises UserError in one sentence.
    """
    check(request)
    model = entry(request.model)
    require(model)
    lora = find_lora(request, files)
    check_upsampler(request.upsampler)
    planned = plan(request.with_seed(), model)
    yield Progress("reading the clips")
    clips, notes = read_cells(planned.request, files)
    adapter = find_adapter(request.adapter, files) if request.strength else None
    concepts = files.find(request.concepts) if request.concepts.strip() and request.concepts_strength else None
    if store.folder(model) is None:
        yield from store.download(model.name)

    def work(backbone: Backbone) -> Iterator[Event]:
        return with_lora(backbone, lora, draw(backbone, planned.request, clips, adapter, concepts, (*planned.notes, *notes)))

    yield from store.attempt(model.name, work)


def read_cells(request: GridRequest, files: Files) -> tuple[dict[int, np.ndarray], tuple[str, ...]]:
    """Number of a cell -> frames (T, h, w, 3) uint8 of its clip, at the size, length and pace of the grid; and what to know of them.

    Raises UserError for a file that is not there or is no clip.
    """
    from pipelines.video import describe, read_excerpt

    layout, clips, notes = Layout.read(request.layout), {}, []
    size = {"height": request.height // layout.rows, "width": request.width // layout.columns}
    for number in given(request):
        cell, file = request.cell(number), files.find(request.cell(number).clip)
        if not file.is_file():
            raise UserError(f"The clip {file.name[:80]} of the cell {layout.names[number]} is not there any more: choose it again.")
        if describe(file).seconds - cell.start < (request.frames - 1) / request.fps:
            notes.append(f"The clip in the cell {layout.names[number]} is shorter than the grid: its last picture is held.")
        clips[number] = read_excerpt(file, start=cell.start, fps=request.fps, frames=request.frames, **size)
    return clips, tuple(notes)


def draw(
    backbone: Backbone, request: GridRequest, clips: Mapping[int, np.ndarray], adapter: Path | None = None, concepts: Path | None = None,
    notes: tuple[str, ...] = (),
) -> Iterator[Event]:  # fmt: skip
    """The same on a loaded backbone, for a request that fits the model.

    Args:
        clips: as `read_cells` gives them.
        adapter, concepts: files or folders; None: without.
    """
    from pipelines.methods.grid.loop import DrawnGrid, draw_grid

    started, layout = time.perf_counter(), Layout.read(request.layout)
    forget_peak(backbone)
    if clips:
        blank = np.zeros_like(next(iter(clips.values())))
        yield Preview("frames", "given", 0, tiled(layout, [clips.get(number, blank) for number in range(layout.count)]))
    latents = {number: backbone.encode_video(clip) for number, clip in clips.items()}
    with ExitStack() as stack:
        settings = stack.enter_context(wearing(backbone, request, adapter, concepts))
        for event in stack.enter_context(closing(draw_grid(backbone, latents, settings))):
            if isinstance(event, DrawnGrid):
                drawn = event
            else:
                yield event
    yield Progress("decoding")
    cells = [backbone.decode_video(cell.contiguous()) for cell in layout.cut(drawn.latents)]
    for name, cell in zip(layout.names, cells, strict=True):
        yield Preview("frames", f"{name}{FINISHED}", request.steps, upsampled(cell, request.upscale, request.upsampler, backbone.device))
    values = {"seconds": time.perf_counter() - started, "peak_bytes": peak(backbone)} | facts(request, clips, cells, drawn, settings)
    yield Result(request, tiled(layout, cells), request.fps, (*notes, *_unread(backbone, settings)), values)


@contextmanager
def wearing(backbone: Backbone, request: GridRequest, adapter: Path | None, concepts: Path | None = None) -> Iterator[GridSettings]:
    """Within, the model has what the request asks for; yields the settings of the loop, as the adapter was trained.

    Grids with a clip are filled; without one they are sampled, by the Grid LoRA if there is one (section 3.2).
    """
    from pipelines.methods.grid.loop import GridSettings
    from pipelines.methods.grid.names import FILES
    from pipelines.methods.grid.weights import open_concepts, open_lora, open_queries, worn

    same = {name: getattr(request, name) for name in GridSettings.__dataclass_fields__ if hasattr(request, name)}
    settings = {**same, "prompt": prompt_of(request), "composed": composed(request)}
    with ExitStack() as stack:
        if adapter is not None and not given(request) and request.mode == "compose" and (adapter / FILES["composition"]).is_file():
            from pipelines.methods.grid.queries import with_queries

            stack.enter_context(with_queries(backbone, open_queries(adapter), cell_shares(backbone, request), request.strength))
        elif adapter is not None:
            sampled = not given(request) and (adapter / FILES["consistent"]).is_file()
            found = open_lora(adapter, "consistent" if sampled else "fill")
            stack.enter_context(worn(backbone, found, request.strength))
            settings |= {"reading": found.card.reading, "structured": request.structured and found.card.structured}
        if concepts is not None:  # last: hooks on layers that an adapter is fused into would not be heard
            from pipelines.methods.grid.dynamic import with_concepts

            stack.enter_context(with_concepts(backbone, open_concepts(concepts), request.concepts_strength))
        yield GridSettings(**settings)


def cell_shares(backbone: Backbone, request: GridRequest):
    """See `shares_of`: A and B are the first two cells."""
    from pipelines.methods.grid.queries import shares_of

    noise = backbone.initial_noise(request.frames, request.height, request.width, 0)
    return shares_of(Layout.read(request.layout).tokens(*backbone.tokens(noise).grid), 0, 1)


def facts(request: GridRequest, clips: Mapping[int, np.ndarray], cells: list[np.ndarray], drawn: DrawnGrid, settings: GridSettings) -> dict:
    """What is known of the cells and of the attention to words."""
    layout = Layout.read(request.layout)
    told = enumerate(zip(layout.names, settings.prompt.clauses, strict=True))
    rows = [{"cell": name, "given": number in clips, "text": clause.text} for number, (name, clause) in told]
    for number, clip in clips.items():
        rows[number]["psnr"] = psnr(cells[number], clip)
    shares = None if drawn.leakage is None else drawn.leakage.tolist()
    return {"prompt": settings.prompt.build(), "layout": str(layout), "cells": rows, "leak": drawn.leak(settings), "attention": shares}


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """Decibels between two clips (T, H, W, 3) uint8; 100 where they are equal."""
    error = np.square(first.astype(np.float64) - second).mean()
    return min(100.0, float(10 * np.log10(255**2 / error))) if error else 100.0


def _unread(backbone: Backbone, settings: GridSettings) -> Iterator[str]:
    """A note for what of the words is not read."""
    prompt, limit = settings.prompt, backbone.text_length
    if settings.reading == "whole" and backbone.count_tokens(prompt.build()) > limit:
        yield "The prompt is too long to be read as a whole, so its clauses were read one by one."
    for name, clause in zip(prompt.layout.names, prompt.clauses, strict=True):
        if backbone.count_tokens(clause.alone) > limit:
            yield f"The words of the cell {name} are long: the model read the first {limit} tokens only."
