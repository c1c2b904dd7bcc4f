"""Where things are inside a transformer: the attention modules of each block and the layout of its tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

What = Literal["query", "key", "value", "output"]


@dataclass(frozen=True)
class TokenLayout:
    """How the tokens of one clip lie in the sequence; video tokens run over frames, then rows, then columns.

    Attributes:
        text: text tokens in front of the video tokens in the block's own attention; 0 where text comes in by cross attention.
        frames, height, width: token grid T', h, w (latent grid divided by the patch size).
        heads: attention heads.
        context: text tokens that the transformer is given, whichever way they come in.
    """

    text: int
    frames: int
    height: int
    width: int
    heads: int
    context: int

    @property
    def video(self) -> int:
        """Video tokens: T' * h * w."""
        return self.frames * self.height * self.width

    @property
    def total(self) -> int:
        """Length of the sequence that the block's own attention sees."""
        return self.text + self.video

    @property
    def grid(self) -> tuple[int, int, int]:
        """(T', h, w)."""
        return self.frames, self.height, self.width


@dataclass(frozen=True)
class AttentionBlock:
    """One attention layer, named by the sub-modules whose outputs are its query, key, value and output.

    Query and key are what `norm_q` and `norm_k` return (before RoPE), value what `to_v`, output what `to_out[0]` returns.

    Attributes:
        index: block number, 0-based.
        name: path of the attention module inside the transformer.
        kind: "self", "joint" (text tokens first, then video) or "cross" (queries from video, keys and values from text).
        attention: the attention module itself.
        parent: the transformer block that holds it, the unit that is compiled.
        device, dtype: where and in which precision it computes (weights may lie elsewhere under offloading).
        heads: attention heads.
        cross: the block's cross-attention layer, where the family has one.
        coarser: how many times coarser its grid is, per side, than that of `backbone.tokens`: a UNet halves it level by level.
        folded: whether frames lie in the batch inside, (B * T', h * w, C); what is recorded is (B, T' * h * w, C) all the same.
    """

    index: int
    name: str
    kind: Literal["self", "joint", "cross"]
    attention: nn.Module
    parent: nn.Module
    device: str
    dtype: torch.dtype
    heads: int
    query: nn.Module
    key: nn.Module
    value: nn.Module
    output: nn.Module
    cross: AttentionBlock | None = None
    coarser: int = 1
    folded: bool = False

    def tokens(self, layout: TokenLayout) -> TokenLayout:
        """The layout of this layer's own tokens.

        Args:
            layout: that of the model's finest grid, `backbone.tokens(latents)`.
        """
        height, width = (-(-side // self.coarser) for side in (layout.height, layout.width))  # halving rounds upwards
        return replace(layout, height=height, width=width, heads=self.heads)

    def width(self, what: What) -> int:
        """Channels of the recorded tensor: heads * head size for query, key and value, the block's width for the output."""
        return self.output.out_features if what == "output" else self.attention.inner_dim

    def length(self, what: What, layout: TokenLayout) -> int:
        """Tokens of the recorded tensor; layout: as for `tokens`."""
        own = self.tokens(layout)
        if self.kind != "cross":
            return own.total
        return own.context if what in ("key", "value") else own.video


def attention_block(
    index: int,
    name: str,
    kind: Literal["self", "joint", "cross"],
    parent: nn.Module,
    device: str,
    dtype: torch.dtype,
    cross: AttentionBlock | None = None,
    coarser: int = 1,
    folded: bool = False,
) -> AttentionBlock:
    """The layer `name` ("blocks.3.attn1") of `parent`; where there is no query or key norm, the projections stand in."""
    attention = getattr(parent, name.rpartition(".")[2])
    return AttentionBlock(
        index=index,
        name=name,
        kind=kind,
        attention=attention,
        parent=parent,
        device=device,
        dtype=dtype,
        heads=attention.heads,
        query=attention.to_q if attention.norm_q is None else attention.norm_q,
        key=attention.to_k if attention.norm_k is None else attention.norm_k,
        value=attention.to_v,
        output=attention.to_out[0],
        cross=cross,
        coarser=coarser,
        folded=folded,
    )


def crossed_block(
    index: int, name: str, parent: nn.Module, device: str, dtype: torch.dtype, coarser: int = 1, folded: bool = False
) -> AttentionBlock:
    """The self-attention `attn1` of the transformer block called `name`, with the cross-attention `attn2` beside it."""
    cross = attention_block(index, f"{name}.attn2", "cross", parent, device, dtype, None, coarser, folded)
    return attention_block(index, f"{name}.attn1", "self", parent, device, dtype, cross, coarser, folded)
