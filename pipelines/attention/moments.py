"""Giving what attention layers say the mean and spread of another branch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from pipelines.attention.edits import block_part, buffer_of, choose, free_name, hooked
from pipelines.backbones.layout import AttentionBlock, TokenLayout, What

TINY = 1e-5
"""Added to a spread before it is divided by."""


class Moments:
    """Mean and standard deviation per channel that the video tokens of the conditional half are given; made by `restating`.

    Attributes:
        layers: numbers of the edited layers.
    """

    def __init__(self, wanted: dict[int, Tensor], gates: dict[int, Tensor]) -> None:
        self.layers = tuple(wanted)
        self._wanted, self._gates = wanted, gates

    def set(self, layer: int, tokens: Tensor) -> None:
        """Take the moments of `tokens` (1, N, channels)."""
        self._wanted[layer].copy_(moments(tokens))

    def switch(self, on: bool) -> None:
        """Switch the edit on or off; what was set stays."""
        for gate in self._gates.values():
            gate.fill_(float(on))


def moments(tokens: Tensor) -> Tensor:
    """(B, 2, channels): mean and standard deviation over the tokens (B, N, channels)."""
    return torch.stack([tokens.mean(1), tokens.std(1, correction=0)], 1)


@contextmanager
def restating(
    blocks: Sequence[AttentionBlock], what: What, layout: TokenLayout, *, layers: Collection[int] | None = None
) -> Iterator[Moments]:
    """Within, `what` of the chosen layers is (x - mean) / deviation * other deviation + other mean (adaptive instance
    normalisation, Huang and Belongie 2017, eq. 8, over tokens), once that is switched on.

    Only the last row of each pass, the conditional half, and only video tokens. Raises UserError as `recording` does.
    """
    modules = {block: block_part(block, what) for block in choose(blocks, layers)}
    name = free_name(modules.values(), "moments")
    wanted, gates = {}, {}
    with ExitStack() as stack:
        for block, module in modules.items():
            wanted[block.index] = buffer_of(block, 1, 2, block.width(what))
            gates[block.index] = buffer_of(block, 1)
            buffers = {f"{name}_wanted": wanted[block.index], f"{name}_gate": gates[block.index]}
            own = block.tokens(layout)
            stack.enter_context(hooked(module, buffers, _hook(name, own.text, own.frames if block.folded else 0)))
        yield Moments(wanted, gates)


@cache
def _hook(name: str, text: int, frames: int) -> Callable[..., Tensor]:
    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        wanted, gate = getattr(module, f"{name}_wanted"), getattr(module, f"{name}_gate")
        said = output.unflatten(0, (-1, frames)).flatten(1, 2) if frames else output  # (rows, N, channels)
        own = said[-1:, text:]
        now = moments(own)
        changed = (own - now[:, :1]) / (now[:, 1:] + TINY) * wanted[:, 1:] + wanted[:, :1]
        video = torch.lerp(own, changed.to(own.dtype), gate)
        return torch.cat([said[:-1], torch.cat([said[-1:, :text], video], 1)]).reshape(output.shape)

    return hook
