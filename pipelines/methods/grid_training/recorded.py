"""What a model's frozen parts say of concepts, made once and kept on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipelines.events import Progress
from pipelines.methods.grid_training.examples import Concept, Source
from pipelines.methods.grid_training.world import Variant, concept_of, pair_of
from pipelines.methods.subject_training.recorded import Recorded
from pipelines.playground.scene import WORLD
from pipelines.playground.train.latents import cover, fingerprint

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

FRAMES, SIDE = 17, 64
"""Of a cell of the playground's grids, which have 128 x 128 px."""

FIELDS = ("latents", "cover", "full", "brief")


class RecordedWorld:
    """Training concepts of the playground, see `Source`.

    Args:
        cache: folder for those of all models.
        count: how many.
        pairs: whether they are compositions, of four clips each.
        shape: frames, height and width of a cell in pixels.
    """

    def __init__(
        self, cache: Path, backbone: Backbone, count: int, pairs: bool = False, shape: tuple[int, int, int] = (FRAMES, SIDE, SIDE)
    ) -> None:
        mark = f"{fingerprint(backbone.vae)}-{fingerprint(backbone.pipeline.text_encoder)}-{'x'.join(map(str, shape))}"
        make = pair_of if pairs else concept_of
        folder = cache / f"world{WORLD}" / f"grids-{mark}" / ("pairs" if pairs else "concepts")
        self.kept = Recorded(folder, count, lambda number: tensors_of(make(number), backbone, shape))

    def __len__(self) -> int:
        return len(self.kept)

    def prepare(self) -> Iterator[Progress]:
        """Make what is missing."""
        yield from self.kept.prepare("drawing concepts")

    def concept(self, number: int) -> Concept:
        """See `Source.concept`."""
        return Concept(*(self.kept.tensor(number, name) for name in FIELDS))


def tensors_of(variants: Sequence[Variant], backbone: Backbone, shape: tuple[int, int, int]) -> dict[str, Tensor]:
    """Of V clips, see `Concept`, in half precision."""
    shown = [variant.render(*shape) for variant in variants]
    latents = torch.cat([backbone.encode_video(one.frames) for one in shown])
    covers = [cover(np.round(one.masks.max(0) * 255).astype(np.uint8), latents.shape[2:]) for one in shown]
    full, brief = (backbone.encode_text([getattr(variant, name) for variant in variants]) for name in ("full", "brief"))
    values = {"latents": latents, "cover": torch.from_numpy(np.stack(covers)), "full": full, "brief": brief}
    return {name: value.half().cpu() for name, value in values.items()}


class Mixed:
    """Concepts of two sources, `share` of them of the second, see `Source`."""

    def __init__(self, first: Source, second: Source, share: float) -> None:
        self.first, self.second = first, second
        self.repeats = max(1, round(share / max(1e-6, 1 - share) * len(first) / max(1, len(second))))

    def __len__(self) -> int:
        return len(self.first) + self.repeats * len(self.second)

    def prepare(self) -> Iterator[Progress]:
        """Make what is missing of both."""
        yield from self.first.prepare()
        yield from self.second.prepare()

    def concept(self, number: int) -> Concept:
        """See `Source.concept`."""
        own = number - len(self.first)
        return self.first.concept(number) if own < 0 else self.second.concept(own % len(self.second))
