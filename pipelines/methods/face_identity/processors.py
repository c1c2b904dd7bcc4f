"""Attention with a face in it: more keys and values beside a block's own, with a softmax of their own, summed before the output.

Nothing of the adapter takes part in a forward pass but its keys and values, which are made once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from torch import Tensor, nn

from pipelines.attention.edits import block_part
from pipelines.attention.processors import processors
from pipelines.backbones.layout import AttentionBlock
from pipelines.backbones.processors import OpenWan, attend, rotate_pairs
from pipelines.errors import UserError
from pipelines.methods.face_identity.condition import Condition
from pipelines.methods.face_identity.modules import Projected
from pipelines.methods.face_identity.weights import check_fits

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone
    from pipelines.methods.face_identity.modules import FaceAdapter

Kind = Literal["id", "ref"]

LITE_EPSILON = 1e-5
"""Of the norm of the lite arm's keys."""


class Identity:
    """The switches of an adapter; made by `identified`. Set them between forward passes.

    Attributes:
        id_scale, ref_scale: strength of the ID-adapter and of the Ref-adapter, 1: as trained, 0: as if it was not there.
        on: whether they count at all.
    """

    def __init__(self, kinds: frozenset[Kind], device: str, rows: Sequence[int]) -> None:
        self.id_scale = self.ref_scale = 1.0
        self.on = True
        self._kinds, self._device = kinds, device
        self.show(rows)

    def show(self, rows: Sequence[int]) -> None:
        """Which of the conditions each row of the coming forward passes has, by its number."""
        self._rows = torch.tensor(tuple(rows), device=self._device)

    @property
    def silent(self) -> bool:
        """Whether the model is its untouched self."""
        return not any(self.scale(kind) for kind in self._kinds)

    def scale(self, kind: Kind) -> float:
        """How strongly this adapter counts now."""
        if not self.on:
            return 0.0
        return self.id_scale if kind == "id" else self.ref_scale

    def of_rows(self, tokens: Tensor, count: int) -> Tensor:
        """(conditions, heads, M, d) -> (count, heads, M, d); RuntimeError if the pass has another number of rows than was said."""
        if len(self._rows) != count:
            raise RuntimeError(f"The pass has {count} rows and conditions were given for {len(self._rows)}.")
        return tokens[self._rows]


class AddedAttention(WanAttnProcessor):
    """Of a Wan block's self-attention or cross-attention: its own, plus scale * softmax(q k^T / sqrt(d)) v over more tokens.

    Queries are those of the layer before RoPE, which none of the added keys has (section 3.1). At scale 0 it is the processor that
    was there before.

    Args:
        own: that processor.
        more: keys and values (conditions, heads, M, d).
    """

    def __init__(self, own: Any, more: Projected, identity: Identity, kind: Kind) -> None:
        super().__init__()
        self.own, self.more, self.identity, self.kind = own, more, identity, kind
        self.attend = own.attend if isinstance(own, OpenWan) else attend

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:  # fmt: skip
        """(B, N, C) for (B, N, C)."""
        scale = self.identity.scale(self.kind)
        if scale == 0:
            return self.own(attn, hidden_states, encoder_hidden_states, attention_mask, rotary_emb)
        seen = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = attn.to_q(hidden_states), attn.to_k(seen), attn.to_v(seen)
        query, key = attn.norm_q(query), attn.norm_k(key)
        query, key, value = (part.unflatten(2, (attn.heads, -1)) for part in (query, key, value))  # (B, N, heads, d)
        face = attend(query.transpose(1, 2), *(self.identity.of_rows(tokens, len(query)) for tokens in self.more))
        if rotary_emb is not None:
            query, key = (rotate_pairs(part, *rotary_emb) for part in (query, key))
        out = self.attend(*(part.transpose(1, 2) for part in (query, key, value)))
        out = torch.add(out, face, alpha=scale).transpose(1, 2).flatten(2).type_as(query)
        return attn.to_out[1](attn.to_out[0](out))


@contextmanager
def identified(
    backbone: Backbone, adapter: FaceAdapter, conditions: Sequence[Condition], rows: Sequence[int] | None = None
) -> Iterator[Identity]:
    """Within, the model draws the faces of `conditions`; afterwards its layers have their own processors again.

    Keys and values are made here, with gradients where they are wanted, and not again; both adapters begin at scale 1.

    Args:
        conditions: with or without tokens and features, all alike.
        rows: see `Identity.show`; None: one row for each condition.
    Raises UserError for an adapter that is for another model and for layers that cannot be edited.
    """
    check_fits(adapter.sizes, backbone)
    made: dict[Kind, dict[str, Projected]] = {
        "id": _identities(backbone, adapter, conditions),
        "ref": _references(backbone, adapter, conditions),
    }
    kinds = frozenset(kind for kind, added in made.items() if added)
    identity = Identity(kinds, backbone.device, range(len(conditions)) if rows is None else rows)
    layers = {layer.name: layer for block in backbone.blocks() for layer in (block, block.cross)}
    replacements = {
        name: AddedAttention(_own(layers[name]), more, identity, kind) for kind, added in made.items() for name, more in added.items()
    }
    with processors(backbone.transformer, replacements):
        yield identity


def _identities(backbone: Backbone, adapter: FaceAdapter, conditions: Sequence[Condition]) -> dict[str, Projected]:
    """Layer name -> keys and values of the ID-adapter (section 3.1); lite keys have a norm of their own."""
    if any(condition.tokens is None for condition in conditions) or not adapter.ip_layers:
        return {}
    tokens = torch.cat([condition.tokens for condition in conditions]).to(backbone.device, backbone.dtype)
    blocks, made = backbone.blocks(), {}
    for n, layer in enumerate(adapter.ip_layers):
        block = blocks[adapter.sizes.stride * n].cross
        key, value = layer(tokens)
        lite = adapter.sizes.arm == "lite"
        key = F.rms_norm(key, key.shape[-1:], eps=LITE_EPSILON) if lite else _normed(block.attention.norm_k, key)
        made[block.name] = _by_heads(block, key, value)
    return made


def _references(backbone: Backbone, adapter: FaceAdapter, conditions: Sequence[Condition]) -> dict[str, Projected]:
    """Layer name -> keys and values of the Ref-adapter (section 3.1)."""
    if any(condition.features is None for condition in conditions) or not adapter.ref_layers:
        return {}
    made = {}
    for block, layer in zip(backbone.blocks(), adapter.ref_layers, strict=True):
        features = torch.cat([condition.features[block.index] for condition in conditions])
        key, value = layer(features.to(backbone.device, backbone.dtype))
        made[block.name] = _by_heads(block, _normed(block.attention.norm_k, key), value)
    return made


def _own(layer: AttentionBlock) -> Any:
    """The processor that `layer` has; raises UserError for one that more attention cannot be added to."""
    block_part(layer, "query")
    own = layer.attention.processor
    if type(own) not in (WanAttnProcessor, OpenWan) or layer.attention.add_k_proj is not None:
        raise UserError(f"The attention of {layer.name} is edited already or sees pictures: choose a plain text-to-video model.")
    return own


def _normed(norm: nn.RMSNorm, key: Tensor) -> Tensor:
    """What `norm` gives, without calling it: its hooks are for the layer's own keys, and its weight may lie elsewhere."""
    return F.rms_norm(key, norm.normalized_shape, norm.weight.to(key), norm.eps)


def _by_heads(block: AttentionBlock, key: Tensor, value: Tensor) -> Projected:
    """(B, M, C) -> (B, heads, M, d)."""
    return Projected(*(part.unflatten(2, (block.heads, -1)).transpose(1, 2) for part in (key, value)))
