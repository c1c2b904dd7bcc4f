"""The denoising loop of the method: one pass over the whole grid."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipelines.events import Event, Preview, Progress
from pipelines.methods.grid.card import Reading
from pipelines.methods.grid.fill import Given, given_of, guided
from pipelines.methods.grid.mask import Route, Watched, leaked, routed, routes_of, sight, watching
from pipelines.methods.grid.prompt import GridPrompt
from pipelines.methods.grid.text import GridText, read_text

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


@dataclass(frozen=True)
class GridSettings:
    """What is drawn and how.

    Attributes:
        prompt, negative_prompt: what the cells show, and what not.
        frames, height, width: of the whole grid, whose cells lie on the model's lattice.
        composed: output cell -> the cells that it is made of.
        structured: whether each cell attends to its own words only, see `sight`.
        reading: how the prompt is read, see `text`.
        noise_scale: of the initial noise, relative to the model's.
        preview_every, watch_every: steps between looks at the grid and at the attention to words, 0: none.
    """

    prompt: GridPrompt
    negative_prompt: str = ""
    frames: int = 17
    height: int = 128
    width: int = 128
    seed: int = 0
    steps: int = 20
    guidance: float = 4.0
    composed: Mapping[int, Sequence[int]] = field(default_factory=dict)
    structured: bool = True
    reading: Reading = "clauses"
    noise_scale: float = 1.0
    preview_every: int = 1
    watch_every: int = 0


@dataclass(frozen=True)
class DrawnGrid:
    """What comes out: latents (1, C, T', H', W') of the grid, and (cells, 1 + cells) shares of attention to words, if looked at."""

    latents: Tensor
    leakage: np.ndarray | None = None

    def leak(self, settings: GridSettings) -> float | None:
        """See `leaked`, against what a structured mask allows."""
        sees = sight(settings.composed, settings.prompt.layout.count)
        return None if self.leakage is None else leaked(self.leakage, sees)


def draw_grid(backbone: Backbone, cells: Mapping[int, Tensor], settings: GridSettings) -> Iterator[Event | DrawnGrid]:
    """Draw the cells that are missing; those of `cells` (1, C, T', h', w') come out to the bit as they went in.

    Yields Progress; Previews "mask" at first, "denoised" and "leakage" as often as asked; last a DrawnGrid.
    """
    layout = settings.prompt.layout
    text = read_text(backbone, settings.prompt, settings.negative_prompt, settings.reading)
    noise = backbone.initial_noise(settings.frames, settings.height, settings.width, settings.seed) * settings.noise_scale
    given = given_of(layout, cells, noise)
    tokens = layout.tokens(*backbone.tokens(noise).grid)
    sees = sight(settings.composed, layout.count, settings.structured)
    routes = routes_of(text, tokens, sees, noise.device)
    yield Preview("mask", "mask", 0, seen_words(sees, text))
    with ExitStack() as stack:
        stack.enter_context(routed(backbone, routes))
        watched = stack.enter_context(_watching(backbone, noise, routes, text) if settings.watch_every else nullcontext())
        yield from _walk(backbone, given, noise, text, settings, watched)


def _watching(backbone: Backbone, noise: Tensor, routes: Sequence[Route], text: GridText):
    """A look at the attention to words in the middle layer: all layers would cost as much memory as time."""
    return watching(backbone, noise, routes, text.parts, [len(backbone.blocks()) // 2])


def _walk(
    backbone: Backbone, given: Given, latents: Tensor, text: GridText, settings: GridSettings, watched: Watched | None
) -> Iterator[Event | DrawnGrid]:
    """From noise to the finished grid."""
    schedule = backbone.schedule(settings.steps, latents, settings.seed)
    latents, total, started = given.enter(latents), len(schedule), time.perf_counter()
    yield Progress("denoising", 0, total)
    for index, timestep in enumerate(schedule.timesteps):
        with torch.no_grad():
            prediction = guided(backbone, latents, timestep, text.states, text.empty, settings.guidance, given.missing)
            looked = watched.add() if watched and _due(index, total, settings.watch_every) else None
            seen = _seen(backbone, given, schedule.clean(prediction, index, latents), _due(index, total, settings.preview_every))
            latents = given.enter(schedule.step(prediction, index, latents))
        if seen is not None:
            yield Preview("frames", "denoised", index, seen)
        if looked is not None:
            yield Preview("map", "leakage", index, looked[None])
        per_step = (time.perf_counter() - started) / (index + 1)
        yield Progress("denoising", index + 1, total, per_step * (total - index - 1))
    yield DrawnGrid(latents, watched.mean() if watched else None)


def _due(index: int, total: int, every: int) -> bool:
    return bool(every) and (index % every == 0 or index == total - 1)


def _seen(backbone: Backbone, given: Given, clean: Tensor, wanted: bool) -> np.ndarray | None:
    return backbone.preview(given.enter(clean)) if wanted else None


def seen_words(sees: Sequence[Sequence[int]], text: GridText) -> np.ndarray:
    """(1, cells, 1 + cells) 0 or 1: which cell sees T_global, where there is one, and which clause."""
    rows = [[bool(text.shared), *(other in cells for other in range(len(sees)))] for cells in sees]
    return np.array(rows, np.float32)[None]
