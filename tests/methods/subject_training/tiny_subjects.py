"""Examples for tiny models: each subject has a colour that only its reference can tell, each clip begins with what it shows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from pipelines.events import Progress
from pipelines.methods.subject_training.examples import Clips, Pairs

SUBJECTS = 6
SIDE = 4
"""Latents of a side: two tokens."""


class Album:
    """See `Source`; remembers what it was asked for."""

    def __init__(self, backbone) -> None:
        self.text = backbone.encode_text(["a red ball", "the sea"])
        self.asked: list[tuple[str, int, int]] = []

    def prepare(self) -> Iterator[Progress]:
        return iter(())

    def notes(self) -> tuple[str, ...]:
        return ()

    def pairs(self, seed: int, number: int, count: int) -> Pairs:
        self.asked.append(("images", number, count))
        draw = np.random.default_rng((seed, number, 1))
        who = draw.integers(SUBJECTS, size=count)
        return Pairs(self.picture(who), self.picture(who), self.text[draw.integers(2, size=count)])

    def clips(self, seed: int, number: int, count: int) -> Clips:
        self.asked.append(("clips", number, count))
        draw = np.random.default_rng((seed, number, 2))
        who = draw.integers(SUBJECTS, size=count)
        frames = torch.stack([self.picture(who), -self.picture(who), self.picture(who)], 1)
        return Clips(self.picture(who).repeat(1, 1, 3, 1, 1), self.text[draw.integers(2, size=count)], frames)

    def held_out(self, count: int) -> tuple[Pairs, Clips]:
        asked, self.asked = self.asked, []
        batches = self.pairs(77, 0, count), self.clips(77, 0, count)
        self.asked = asked
        return batches

    @staticmethod
    def picture(who: np.ndarray) -> Tensor:
        """(B, 4, 1, SIDE, SIDE) of a colour for each."""
        colours = [torch.randn(4, 1, 1, 1, generator=torch.Generator().manual_seed(int(one))) for one in who]
        return torch.stack(colours).expand(-1, -1, 1, SIDE, SIDE) * 2


def state_of(backbone) -> dict[str, Tensor]:
    """Every weight, copied."""
    parts = {"transformer": backbone.transformer, "vae": backbone.vae, "text": backbone.pipeline.text_encoder}
    return {f"{part}.{name}": value.clone() for part, module in parts.items() for name, value in module.state_dict().items()}


def untouched(backbone, before: dict[str, Tensor]) -> bool:
    """Whether all weights are as they were, and nothing else is left."""
    after = state_of(backbone)
    hooks = [module for module in backbone.transformer.modules() if module._forward_hooks or module._forward_pre_hooks]
    same = before.keys() == after.keys() and all(torch.equal(value, after[name]) for name, value in before.items())
    return same and not hooks and not backbone.transformer.gradient_checkpointing
