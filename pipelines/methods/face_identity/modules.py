"""The adapters of Lynx: a resampler of face embeddings, and in each block keys and values of the identity and of the reference.

Names of parameters are those of the released weights. Built under `torch.device("meta")` they take no memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipelines.methods.face_identity.card import Card

Arm = Literal["full", "lite"]

STRIDE: dict[Arm, int] = {"full": 1, "lite": 2}
"""Entry n of the ID-adapter belongs to block stride * n."""

HEAD = 64
"""Channels of a head of the resampler."""

GROWTH = 4
"""How many times wider its feed-forward layers are inside."""


@dataclass(frozen=True)
class ResamplerSizes:
    """Those of the released full arm, if nothing else is said.

    Attributes:
        embedding: channels of a face embedding.
        width, depth, heads: of the perceiver; heads have HEAD channels each.
        queries: ID tokens that come out.
        output: channels of an ID token: 5120 in the full arm, 2048 in the lite one.
    """

    embedding: int = 512
    width: int = 1280
    depth: int = 4
    heads: int = 20
    queries: int = 16
    output: int = 5120


@dataclass(frozen=True)
class Sizes:
    """Those of the released full arm, if nothing else is said.

    Attributes:
        arm: "full": each block has an entry of `ip_layers`, with biases and registers; "lite": every other one, without.
        width: channels of the base model's blocks.
        ip_layers: entries of the ID-adapter, 0: there is none.
        ref_layers: blocks of the Ref-adapter, 0: there is none.
        registers: tokens of each entry beside those of the identity.
        resampler: None where there is no ID-adapter.
    """

    arm: Arm = "full"
    width: int = 5120
    ip_layers: int = 40
    ref_layers: int = 40
    registers: int = 16
    resampler: ResamplerSizes | None = ResamplerSizes()

    @property
    def stride(self) -> int:
        """Entry n of the ID-adapter belongs to block `stride` * n."""
        return STRIDE[self.arm]

    def fits(self, width: int, blocks: int) -> bool:
        """Whether a base with so many blocks of this width can wear the adapter."""
        return self.width == width and self.ip_layers in (0, -(-blocks // self.stride)) and self.ref_layers in (0, blocks)


FULL = Sizes()
LITE = Sizes("lite", ip_layers=20, ref_layers=0, registers=0, resampler=ResamplerSizes(output=2048))


def sizes_for(backbone: Any, resampler: ResamplerSizes | None, arm: Arm = "full", registers: int = 16, reference: bool = True) -> Sizes:
    """The sizes of an adapter for `backbone`.

    Args:
        resampler: None for an adapter without identity.
        registers: of the full arm.
        reference: whether it has a Ref-adapter.
    """
    blocks = backbone.blocks()
    return Sizes(
        arm=arm,
        width=blocks[0].width("output"),
        ip_layers=0 if resampler is None else -(-len(blocks) // STRIDE[arm]),
        ref_layers=len(blocks) if reference else 0,
        registers=0 if arm == "lite" or resampler is None else registers,
        resampler=resampler,
    )


class FaceAdapter(nn.Module):
    """All parts of one adapter; those that it does not have are empty or None.

    Fresh ones change nothing: projections to keys and values are zero.

    Attributes:
        sizes, card: what it is.
        resampler: `Resampler` or None.
        ip_layers: `IdentityLayer` per entry; entry n belongs to block sizes.stride * n.
        ref_layers: `ReferenceLayer` per block.
    """

    def __init__(self, sizes: Sizes, card: Card | None = None) -> None:
        super().__init__()
        self.sizes, self.card = sizes, card or Card(arm=sizes.arm)
        self.resampler = None if sizes.resampler is None else Resampler(sizes.resampler)
        self.ip_layers = nn.ModuleList(IdentityLayer(sizes) for _ in range(sizes.ip_layers))
        self.ref_layers = nn.ModuleList(ReferenceLayer(sizes.width) for _ in range(sizes.ref_layers))


class Projected(NamedTuple):
    """Keys, not yet normalised, and values, (B, M, C) each."""

    key: Tensor
    value: Tensor


class IdentityLayer(nn.Module):
    """What one block's cross-attention sees of the identity (section 3.1, ID-adapter): its tokens and registers of the block's own."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        tokens, full = sizes.resampler.output, sizes.arm == "full"
        self.to_k_ip, self.to_v_ip = (_silent(tokens, sizes.width, bias=full) for _ in range(2))
        self.registers = nn.Parameter(_normal(1, sizes.registers, tokens)) if full else None

    def forward(self, tokens: Tensor) -> Projected:
        """ID tokens (B, Q, D) -> keys and values (B, Q + registers, C), the identity's first."""
        if self.registers is not None:
            tokens = torch.cat([tokens, self.registers.to(tokens).expand(len(tokens), -1, -1)], 1)
        return Projected(_project(self.to_k_ip, tokens), _project(self.to_v_ip, tokens))


class ReferenceLayer(nn.Module):
    """What one block's self-attention sees of the reference (section 3.1, Ref-adapter)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_k_ref, self.to_v_ref = (_silent(width, width) for _ in range(2))

    def forward(self, features: Tensor) -> Projected:
        """Features of the reference in the same block, (B, M, C) -> keys and values of the same shape."""
        return Projected(_project(self.to_k_ref, features), _project(self.to_v_ref, features))


class Resampler(nn.Module):
    """A perceiver that reads a face embedding with a fixed number of learnt queries (section 3.1)."""

    def __init__(self, sizes: ResamplerSizes) -> None:
        super().__init__()
        width = sizes.width
        self.latents = nn.Parameter(_normal(1, sizes.queries, width))
        self.proj_in = nn.Linear(sizes.embedding, width)
        self.proj_out = nn.Linear(width, sizes.output)
        self.norm_out = nn.LayerNorm(sizes.output)
        layers = (nn.ModuleList([PerceiverAttention(width, sizes.heads), _feed_forward(width)]) for _ in range(sizes.depth))
        self.layers = nn.ModuleList(layers)

    def forward(self, embedding: Tensor) -> Tensor:
        """Face embeddings (B, E) of unit length, or zeros for nobody -> ID tokens (B, Q, D)."""
        x = self.proj_in(embedding[:, None])  # (B, 1, width)
        latents = self.latents.expand(len(x), -1, -1)
        for attention, feed_forward in self.layers:
            latents = latents + attention(x, latents)
            latents = latents + feed_forward(latents)
        return self.norm_out(self.proj_out(latents))


class PerceiverAttention(nn.Module):
    """Latents that attend to the input and to themselves."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        inner = heads * HEAD
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor, latents: Tensor) -> Tensor:
        """Input (B, N, width) and latents (B, Q, width) -> what is added to the latents; softmax in float32."""
        x, latents = self.norm1(x), self.norm2(latents)
        parts = self.to_q(latents), *self.to_kv(torch.cat([x, latents], 1)).chunk(2, -1)
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)  # (B, heads, n, HEAD)
        scale = HEAD**-0.25  # on both sides: in half precision it overflows later than their product would
        weights = ((q * scale) @ (k * scale).transpose(-2, -1)).float().softmax(-1).type_as(v)
        return self.to_out((weights @ v).transpose(1, 2).flatten(2))


def _feed_forward(width: int) -> nn.Sequential:
    inner = GROWTH * width
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, inner, bias=False), nn.GELU(), nn.Linear(inner, width, bias=False))


def _silent(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    """A linear layer that gives zeros until it is trained."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _normal(*shape: int) -> Tensor:
    """Numbers from N(0, 1 / channels)."""
    return torch.randn(*shape) / shape[-1] ** 0.5


def _project(layer: nn.Linear, tokens: Tensor) -> Tensor:
    """`layer` where and in the precision that `tokens` are in: one layer at a time visits the card, which need not hold them all."""
    return F.linear(tokens, layer.weight.to(tokens), None if layer.bias is None else layer.bias.to(tokens))
