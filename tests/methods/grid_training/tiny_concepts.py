"""Concepts for the tiny Wan: each has a colour that only its visible cells can tell, and variants that its words tell."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from pipelines.events import Progress
from pipelines.methods.grid_training.examples import Concept

WORDS = ("a red ball", "rolls", "the sea", "snow", "a star")
SIDE, CONCEPTS = 8, 6


class Album:
    """See `Source`; remembers what it was asked for."""

    def __init__(self, backbone, variants: int = 5) -> None:
        self.text = backbone.encode_text(list(WORDS[:variants]))
        self.asked: list[int] = []

    def __len__(self) -> int:
        return CONCEPTS

    def prepare(self) -> Iterator[Progress]:
        return iter(())

    def concept(self, number: int) -> Concept:
        self.asked.append(number)
        draw = torch.Generator().manual_seed(number)
        colour = 2 * torch.randn(1, 4, 1, 1, 1, generator=draw)
        shade = torch.linspace(-1, 1, len(self.text)).view(-1, 1, 1, 1, 1)
        latents = (colour + shade).expand(-1, -1, 2, SIDE, SIDE)
        return Concept(latents, torch.zeros(len(latents), 1, 2, SIDE, SIDE), self.text, self.text.flip(0))


class Reel:
    """See `dynamic.Clips`."""

    def __init__(self, backbone) -> None:
        self.text = backbone.encode_text(["[a_identity] rolls", "[b_identity] snow"])

    def __len__(self) -> int:
        return 2

    def prepare(self) -> Iterator[Progress]:
        return iter(())

    def clip(self, number: int, what: str) -> torch.Tensor:
        colour = 2 * torch.randn(4, 1, 1, 1, generator=torch.Generator().manual_seed(number))
        frame = colour.expand(4, 1, SIDE, SIDE)
        shapes = {"latents": torch.cat([frame, -frame], 1), "cover": torch.zeros(1, 2, SIDE, SIDE)}
        return (shapes | {"frames": torch.stack([frame, -frame]), "covers": torch.zeros(2, 1, 1, SIDE, SIDE), "text": self.text[number]})[
            what
        ]


def state_of(backbone) -> dict[str, torch.Tensor]:
    """Every weight, copied."""
    return {name: value.clone() for name, value in backbone.transformer.state_dict().items()}


def untouched(backbone, before: dict[str, torch.Tensor]) -> bool:
    """Whether all weights are as they were, and nothing else is left."""
    after = state_of(backbone)
    hooks = [module for module in backbone.transformer.modules() if module._forward_hooks or module._forward_pre_hooks]
    return before.keys() == after.keys() and all(torch.equal(value, after[name]) for name, value in before.items()) and not hooks
