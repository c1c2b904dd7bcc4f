"""Grids that the Grid LoRA draws, to be learnt from by Grid-Fill (Grid composition, section 4.3: without them identity is lost)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipelines.events import Progress
from pipelines.methods.grid.layout import Layout
from pipelines.methods.grid.loop import DrawnGrid, GridSettings, draw_grid
from pipelines.methods.grid.prompt import Clause, GridPrompt
from pipelines.methods.grid.weights import GridLora, open_lora, worn
from pipelines.methods.grid_training.examples import Concept
from pipelines.methods.grid_training.recorded import FIELDS, FRAMES, SIDE
from pipelines.methods.grid_training.world import concept_of
from pipelines.methods.subject_training.recorded import Recorded
from pipelines.playground.train.latents import fingerprint

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

FIRST_SAMPLE = 45_000
"""Of the numbers of concepts whose words are sampled: far from those that grids are rendered of."""

STEPS = 16


class SampledGrids:
    """`count` grids of 2 x 2, see `Source`: each is a concept of four clips.

    Args:
        cache: folder; samples of another Grid LoRA lie in another one.
        folder: of the adapters, with the Grid LoRA of the consistent mode.
        shape: frames, height and width of a cell in pixels.
    """

    def __init__(
        self, cache: Path, backbone: Backbone, folder: Path, count: int, shape: tuple[int, int, int] = (FRAMES, SIDE, SIDE),
        steps: int = STEPS,
    ) -> None:  # fmt: skip
        adapter = open_lora(folder, "consistent")
        mark = f"{fingerprint(backbone.transformer)}-{int(adapter.file.stat().st_mtime)}-{'x'.join(map(str, shape))}"
        self.kept = Recorded(cache / f"samples-{mark}", count, lambda number: sampled(number, backbone, adapter, shape, steps))

    def __len__(self) -> int:
        return len(self.kept)

    def prepare(self) -> Iterator[Progress]:
        """Make what is missing."""
        yield from self.kept.prepare("sampling grids")

    def concept(self, number: int) -> Concept:
        """See `Source.concept`."""
        return Concept(*(self.kept.tensor(number, name) for name in FIELDS))


def sampled(number: int, backbone: Backbone, adapter: GridLora, shape: tuple[int, int, int], steps: int = STEPS) -> dict[str, Tensor]:
    """Grid number 0.. as `tensors_of` has rendered ones; nobody knows where its subject is, so all of it counts alike."""
    variants, layout = concept_of(FIRST_SAMPLE + number)[:4], Layout(2, 2)
    frames, height, width = shape
    prompt = GridPrompt(layout, "", tuple(Clause(variant.full) for variant in variants))
    settings = GridSettings(
        prompt, frames=frames, height=2 * height, width=2 * width, seed=number, steps=steps,
        structured=adapter.card.structured, reading=adapter.card.reading, preview_every=0,
    )  # fmt: skip
    with worn(backbone, adapter):
        *_, drawn = draw_grid(backbone, {}, settings)
    assert isinstance(drawn, DrawnGrid)
    latents = torch.cat(layout.cut(drawn.latents))
    full, brief = (backbone.encode_text([getattr(variant, name) for variant in variants]) for name in ("full", "brief"))
    values = {"latents": latents, "cover": torch.zeros_like(latents[:, :1]), "full": full, "brief": brief}
    return {name: value.half().cpu() for name, value in values.items()}
