"""What attention layers say, put together anew from tokens of other places: of the same clip, of its partner, or of a bank.

As in `edits`, hooks work on buffers at each module; a gate of 0 leaves a token bit for bit as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pipelines.attention.edits import block_part, buffer_of, choose, free_name, hooked
from pipelines.attention.windows import Window
from pipelines.backbones.layout import AttentionBlock, TokenLayout, What

Pool = Literal["own", "partner", "bank"]
"""Where tokens come from: the same row, the other clip of a pair in the same half of the guidance, or what was written."""


class Gathering:
    """x <- x + gate (sum_k weight_k pool[index_k] - x) for the video tokens of the chosen layers; made by `gathering`.

    Attributes:
        layers: numbers of the edited layers.
    """

    def __init__(self, buffers: dict[int, dict[str, Tensor]]) -> None:
        self.layers = tuple(buffers)
        self._buffers = buffers

    def write(self, layer: int, index: Tensor, weight: Tensor | float, gate: Tensor | float, bank: Tensor | None = None) -> None:
        """Say what the tokens of `layer` are made of from now on.

        Args:
            index: (rows, K, N) places in the pool, N video tokens.
            weight: broadcasts to (rows, K, N), sums to 1 over K.
            gate: broadcasts to (rows, N), 0..1.
            bank: (rows, P, channels), for a pool of that kind.
        """
        buffers = self._buffers[layer]
        buffers["index"].copy_(index)
        for name, values in (("weight", weight), ("gate", gate)):
            buffers[name].copy_(torch.as_tensor(values, dtype=buffers[name].dtype, device=buffers[name].device).expand_as(buffers[name]))
        if bank is not None:
            buffers["bank"].copy_(bank)

    def off(self) -> None:
        """Nothing is changed any more, until something is written again."""
        for buffers in self._buffers.values():
            buffers["gate"].zero_()


@contextmanager
def gathering(
    blocks: Sequence[AttentionBlock],
    what: What,
    layout: TokenLayout,
    *,
    rows: int,
    layers: Window | Collection[int] | None = None,
    sources: int = 1,
    pool: Pool = "own",
    banked: int = 1,
) -> Iterator[Gathering]:
    """Within, `what` of the chosen layers can be put together anew; until then nothing changes.

    Args:
        blocks, layout, layers: as for `recording`.
        rows: of each forward pass, exactly.
        sources: K, places that each token is made of.
        pool: where those are.
        banked: clips whose video tokens a bank holds, one after the other.
    Raises UserError if the layers' projections are fused.
    """
    modules = {block: block_part(block, what) for block in choose(blocks, layers)}
    name = free_name(modules.values(), "gather")
    found: dict[int, dict[str, Tensor]] = {}
    with ExitStack() as stack:
        for block, module in modules.items():
            own = block.tokens(layout)
            buffers = {
                "index": torch.zeros((rows, sources, own.video), dtype=torch.int64, device=block.device),
                "weight": buffer_of(block, rows, sources, own.video),
                "gate": buffer_of(block, rows, own.video),
            }
            if pool == "bank":
                buffers["bank"] = buffer_of(block, rows, banked * own.video, block.width(what))
            hook = _hook(name, pool, own.text, own.frames if block.folded else 0)
            stack.enter_context(hooked(module, {f"{name}_{part}": buffer for part, buffer in buffers.items()}, hook))
            found[block.index] = buffers
        yield Gathering(found)


@cache  # one function per way, whichever module: compiled graphs recognise it again
def _hook(name: str, pool: Pool, text: int, frames: int) -> Callable[..., Tensor]:
    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        index, weight, gate = (getattr(module, f"{name}_{part}") for part in ("index", "weight", "gate"))
        said = _by_row(output, frames)
        video = said[:, text:]
        source = getattr(module, f"{name}_bank") if pool == "bank" else video if pool == "own" else _partners(video)
        parts = [source.gather(1, index[:, k, :, None].expand_as(video)) * weight[:, k, :, None] for k in range(index.shape[1])]
        made = torch.lerp(video, sum(parts[1:], parts[0]).to(video.dtype), gate[:, :, None].to(video.dtype))
        return _as_said(torch.cat([said[:, :text], made], 1), output, frames)

    return hook


def _partners(video: Tensor) -> Tensor:
    """Rows of a pass over pairs, halves of the guidance outermost: each row's partner, (rows, N, C)."""
    return video.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)


def _by_row(output: Tensor, frames: int) -> Tensor:
    """(rows, N, channels), heads side by side, whatever the module's own layout."""
    if frames:
        return output.unflatten(0, (-1, frames)).flatten(1, 2)
    return output.transpose(1, 2).flatten(2) if output.ndim == 4 else output


def _as_said(tokens: Tensor, output: Tensor, frames: int) -> Tensor:
    """The inverse of `_by_row`."""
    if frames:
        return tokens.reshape(output.shape)
    return tokens.unflatten(2, (output.shape[1], -1)).transpose(1, 2) if output.ndim == 4 else tokens
