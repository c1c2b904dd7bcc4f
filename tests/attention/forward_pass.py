"""A forward pass of each family to edit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass
class Pass:
    """One forward pass of a tiny backbone; calling it gives the prediction."""

    backbone: Any
    latents: torch.Tensor
    text: torch.Tensor
    timestep: torch.Tensor

    def __call__(self) -> torch.Tensor:
        with torch.no_grad():
            return self.backbone.denoise(self.latents, self.timestep, self.text)

    @property
    def layout(self):
        return self.backbone.tokens(self.latents)

    @property
    def blocks(self):
        return self.backbone.blocks()

    def size(self, layer: int, what: str) -> tuple[int, int]:
        """(N, channels) of what is recorded of a layer."""
        block = self.blocks[layer]
        return block.length(what, self.layout), block.width(what)


def make_pass(backbone, seed: int = 0, guided: bool = True) -> Pass:
    latents = backbone.initial_noise(9, 32, 48, seed)
    text = backbone.encode_text(["", "a red ball rolls over the grass"])
    both = torch.cat([latents, latents])
    return Pass(backbone, both if guided else latents, text if guided else text[1:], torch.tensor(700))


def hooks_and_buffers(backbone) -> list[tuple[str, int, tuple[str, ...], tuple[str, ...]]]:
    """Every module's forward hooks, buffers and other attributes."""
    modules = backbone.transformer.named_modules()
    return [
        (name, len(module._forward_hooks) + len(module._forward_pre_hooks), tuple(module._buffers), tuple(vars(module)))
        for name, module in modules
    ]
