"""Frame packing: clips and pictures of any size as one sequence of tokens (Lynx, section 3.2.1, after NaViT, Dehghani et al. 2023).

For transformers of the Wan family. What goes into the model is a strip of patches, one sample after the other, which its own
forward pass takes for a picture that is one patch high: the patches become tokens, and tokens become patches again, as always.
Three things are changed for the while, all in `packed`: RoPE begins anew in each sample, each sample attends to itself and to its
own text, and each token is told the noise level of its sample, which the model knows how to be told. The modulations of all
tokens are therefore made one by one, 24 bytes per token and channel in a block: at Wan-14B's width and 33,600 tokens 4 GB, which
gradient checkpointing frees again block by block.

Attention is block-diagonal without a mask: on a card, in half precision, by torch's attention for sequences of different lengths;
elsewhere sample by sample, neighbours of one size together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from torch import Tensor, nn

from pipelines.attention.edits import block_part
from pipelines.attention.processors import processors
from pipelines.backbones.base import Backbone
from pipelines.backbones.layout import AttentionBlock
from pipelines.backbones.processors import rotate_pairs
from pipelines.errors import UserError

TOKENS = 33_600
"""Tokens of a packed sequence in the paper, per card (section 3.2.2)."""

HALF = (torch.float16, torch.bfloat16)
"""What attention over different lengths computes in."""

Added = Callable[[Tensor], Tensor | None]
"""More attention beside a layer's own: queries (1, N, heads, d) of all samples, before RoPE -> what is added to the layer's answer,
of the same shape, before its output projection; None: nothing."""

NOTHING: Mapping[str, Added] = MappingProxyType({})

S = TypeVar("S")


class Sample(NamedTuple):
    """One clip or picture as the transformer is to see it.

    Attributes:
        latents: (1, C, T', H', W').
        timestep: () its own, 0..1000.
        text: (1, L, D) states.
    """

    latents: Tensor
    timestep: Tensor
    text: Tensor


@dataclass(frozen=True)
class Spans:
    """Where samples lie in a sequence, one after the other.

    Attributes:
        lengths: tokens of each, one or more.
    """

    lengths: tuple[int, ...]

    @cached_property
    def longest(self) -> int:
        return max(self.lengths)

    def offsets(self, device: torch.device) -> Tensor:
        """(samples + 1,) int32: where each begins, and the end."""
        if device not in self._offsets:
            self._offsets[device] = torch.tensor([0, *accumulate(self.lengths)], dtype=torch.int32, device=device)
        return self._offsets[device]

    @cached_property
    def _offsets(self) -> dict[torch.device, Tensor]:
        return {}


@dataclass(frozen=True)
class Layout:
    """How a sequence is made up.

    Attributes:
        grids: (T', h, w) in tokens of each sample.
        video, text: where its tokens and its text lie.
    """

    grids: tuple[tuple[int, int, int], ...]
    video: Spans
    text: Spans


def fill(samples: Iterable[S], budget: int, tokens: Callable[[S], int]) -> Iterator[list[S]]:
    """Groups of `samples`, in their order, each of as many as `budget` tokens hold; lazily, so that they may be without end.

    Args:
        tokens: how many tokens a sample has, see `count_tokens`.
    Raises ValueError for a sample that is longer than the budget.
    """
    group: list[S] = []
    used = 0
    for sample in samples:
        count = tokens(sample)
        if count > budget:
            raise ValueError(f"a sample has {count} tokens where {budget} are the most")
        if used + count > budget:
            yield group
            group, used = [], 0
        group.append(sample)
        used += count
    if group:
        yield group


def count_tokens(backbone: Backbone, latents: Tensor) -> int:
    """Tokens of latents (1, C, T', H', W')."""
    return backbone.tokens(latents).video


# --- a forward pass --------------------------------------------------------------------------------------------------


def denoise_packed(backbone: Backbone, samples: Sequence[Sample], added: Mapping[str, Added] = NOTHING) -> list[Tensor]:
    """The model's prediction for each sample, of the shape of its latents, from one forward pass over all.

    The edits are gone when this returns: where gradients need checkpointed blocks to run again, keep `packed` open around
    `forward_packed` and the backward pass.

    Args:
        added: see `packed`.
    Raises as `layout_of` and `packed` do.
    """
    layout = layout_of(backbone, samples)
    with packed(backbone, layout, added):
        return forward_packed(backbone, samples, layout)


def layout_of(backbone: Backbone, samples: Sequence[Sample]) -> Layout:
    """How `samples` lie in one sequence.

    Raises UserError for models of other families, ValueError for no samples and for latents that patches do not divide.
    """
    if backbone.family != "wan":
        raise UserError("Only models of the Wan family can be trained on packed clips: choose one of those.")
    if not samples:
        raise ValueError("there is nothing to pack")
    grids = tuple(_grid(sample.latents, backbone.transformer.config.patch_size) for sample in samples)
    return Layout(grids, Spans(tuple(t * h * w for t, h, w in grids)), Spans(tuple(sample.text.shape[1] for sample in samples)))


def forward_packed(backbone: Backbone, samples: Sequence[Sample], layout: Layout) -> list[Tensor]:
    """The forward pass alone, within `packed`."""
    patch, lengths = backbone.transformer.config.patch_size, layout.video.lengths
    strip = torch.cat([to_strip(sample.latents.to(backbone.dtype), patch) for sample in samples], -1)
    timesteps = torch.cat([sample.timestep.reshape(1).expand(length) for sample, length in zip(samples, lengths, strict=True)])
    text = torch.cat([sample.text for sample in samples], 1)
    made = backbone.transformer(hidden_states=strip, timestep=timesteps[None], encoder_hidden_states=text, return_dict=False)[0]
    parts = made.split([length * patch[2] for length in lengths], -1)
    return [from_strip(part, grid, patch) for part, grid in zip(parts, layout.grids, strict=True)]


def _grid(latents: Tensor, patch: Sequence[int]) -> tuple[int, int, int]:
    if len(latents) != 1 or any(size % step for size, step in zip(latents.shape[2:], patch, strict=True)):
        raise ValueError(f"latents are {tuple(latents.shape)} where one clip of multiples of {tuple(patch)} is wanted")
    frames, height, width = (size // step for size, step in zip(latents.shape[2:], patch, strict=True))
    return frames, height, width


def to_strip(latents: Tensor, patch: Sequence[int]) -> Tensor:
    """Latents (1, C, T', H', W') -> (1, C, p_t, p_h, N * p_w): their N patches in the order of their tokens, side by side."""
    p_t, p_h, p_w = patch
    cut = latents.unflatten(4, (-1, p_w)).unflatten(3, (-1, p_h)).unflatten(2, (-1, p_t))  # (1, C, t, p_t, h, p_h, w, p_w)
    return cut.permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4)


def from_strip(strip: Tensor, grid: tuple[int, int, int], patch: Sequence[int]) -> Tensor:
    """The inverse of `to_strip` for a sample of `grid` tokens."""
    cut = strip.unflatten(4, (*grid, patch[2]))  # (1, C, p_t, p_h, t, h, w, p_w)
    return cut.permute(0, 1, 4, 2, 5, 3, 6, 7).flatten(6).flatten(4, 5).flatten(2, 3)


# --- the edits -------------------------------------------------------------------------------------------------------


@contextmanager
def packed(backbone: Backbone, layout: Layout, added: Mapping[str, Added] = NOTHING) -> Iterator[None]:
    """Within, the transformer works on sequences of this layout; afterwards it is as it was.

    Args:
        added: name of an attention layer ("blocks.3.attn1", `AttentionBlock.name`) -> more attention beside its own. Whatever
            processor such a layer has is set aside; all others must have the family's own.
    Raises UserError for layers that are edited otherwise.
    """
    layers = {layer.name: (layer, keys) for block in backbone.blocks() for layer, keys in _layers(block, layout)}
    replacements = {name: PackedWan(layout.video, keys, added.get(name)) for name, (_, keys) in layers.items()}
    for name, (layer, _) in layers.items():
        if name not in added:
            _check_own(layer)
    with processors(backbone.transformer, replacements), _rotating(backbone.transformer, layout):
        yield


def _layers(block: AttentionBlock, layout: Layout) -> Iterator[tuple[AttentionBlock, Spans]]:
    """Its two layers and where their keys lie."""
    yield block, layout.video
    yield block.cross, layout.text


def _check_own(layer: AttentionBlock) -> None:
    block_part(layer, "query")
    if type(layer.attention.processor) is not WanAttnProcessor or layer.attention.add_k_proj is not None:
        raise UserError(f"The attention of {layer.name} is edited already or sees pictures: choose a plain text-to-video model.")


class PackedWan(WanAttnProcessor):
    """Of both attentions of a Wan block: as diffusers has it, but within each sample.

    Args:
        queries, keys: where the samples lie in the sequence and in what it looks at.
        added: more attention beside it.
    """

    def __init__(self, queries: Spans, keys: Spans, added: Added | None = None) -> None:
        super().__init__()
        self.queries, self.keys, self.added = queries, keys, added

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:  # fmt: skip
        """(1, N, C) for (1, N, C)."""
        seen = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = attn.norm_q(attn.to_q(hidden_states)), attn.norm_k(attn.to_k(seen)), attn.to_v(seen)
        query, key, value = (part.unflatten(2, (attn.heads, -1)) for part in (query, key, value))  # (1, N, heads, d)
        more = None if self.added is None else self.added(query)
        if rotary_emb is not None:
            query, key = (rotate_pairs(part, *rotary_emb) for part in (query, key))
        out = attend_apart(query, key, value, self.queries, self.keys)
        out = out if more is None else out + more
        return attn.to_out[1](attn.to_out[0](out.flatten(2).type_as(query)))


@contextmanager
def _rotating(transformer: nn.Module, layout: Layout) -> Iterator[None]:
    """Within, positions of RoPE begin anew in each sample."""
    own = transformer.rope
    transformer.rope = _Angles(own, layout, transformer.config.patch_size)
    try:
        yield
    finally:
        transformer.rope = own


class _Angles(nn.Module):
    """Cosines and sines (1, N, 1, d) of a packed sequence, whatever it is called with."""

    def __init__(self, rope: nn.Module, layout: Layout, patch: Sequence[int]) -> None:
        super().__init__()
        sizes = [[step * side for step, side in zip(patch, grid, strict=True)] for grid in layout.grids]
        each = [rope(rope.freqs_cos.new_empty(1, 0, *size)) for size in sizes]
        self.angles = tuple(torch.cat(parts, 1) for parts in zip(*each, strict=True))

    def forward(self, _: Tensor) -> tuple[Tensor, Tensor]:
        return self.angles


# --- attention within samples ----------------------------------------------------------------------------------------


def attend_apart(query: Tensor, key: Tensor, value: Tensor, queries: Spans, keys: Spans) -> Tensor:
    """softmax(q k^T / sqrt(d)) v within each sample, never between two.

    Args:
        query: (1, N, heads, d); key, value: (1, M, heads, d), where samples lie as `queries` and `keys` say.
    Returns:
        (1, N, heads, d).
    """
    if value.is_cuda and value.dtype in HALF and value.shape[-1] % 8 == 0:
        return _attend_by_lengths(query, key, value, queries, keys)
    pairs = [(len(list(same)), n, m) for (n, m), same in groupby(zip(queries.lengths, keys.lengths, strict=True))]
    q, k, v = query[0].split([c * n for c, n, _ in pairs]), *(part[0].split([c * m for c, _, m in pairs]) for part in (key, value))
    return torch.cat([_attend_alike(c, *parts) for (c, _, _), *parts in zip(pairs, q, k, v, strict=True)])[None]


def _attend_alike(count: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The same for `count` samples of one size: (count * n, heads, d), key and value (count * m, heads, d)."""
    parts = (part.unflatten(0, (count, -1)).transpose(1, 2) for part in (query, key, value))
    return F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(0, 1)


def _attend_by_lengths(query: Tensor, key: Tensor, value: Tensor, queries: Spans, keys: Spans) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    parts = (part[0].to(value.dtype).contiguous() for part in (query, key, value))
    out = varlen_attn(*parts, queries.offsets(value.device), keys.offsets(value.device), queries.longest, keys.longest)
    return out[None]
