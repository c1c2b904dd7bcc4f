"""Attention processors with the attention itself left open: projections, norms, RoPE and output as in diffusers, `attend` in between.

For edits that change which keys a query sees, which no hook can do. With `attend` they equal diffusers' own processors (tests).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import AttnProcessor2_0, CogVideoXAttnProcessor2_0
from diffusers.models.embeddings import apply_rotary_emb
from diffusers.models.transformers.transformer_ltx import LTXVideoAttnProcessor
from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from torch import Tensor

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys and values (B, heads, N, d), after RoPE, text tokens first where they take part -> (B, heads, N, d).

In a UNet, whose layers attend within each frame, frames lie in the batch: (B * T', heads, h * w, d)."""


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v."""
    return F.scaled_dot_product_attention(query, key, value)


class OpenWan(WanAttnProcessor):
    """Of a Wan block's own attention (`attn1`)."""

    def __init__(self, attend: Attend) -> None:
        super().__init__()
        self.attend = attend

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:  # fmt: skip
        """(B, N, C) for (B, N, C)."""
        return _attend_to_itself(attn, hidden_states, rotary_emb, self.attend)


class OpenCross(WanAttnProcessor):
    """Of a Wan block's attention to text (`attn2`): projections, norms and output as in diffusers, `attend` in between."""

    def __init__(self, attend: Attend) -> None:
        super().__init__()
        self.attend = attend

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:  # fmt: skip
        """(B, N, C) for (B, N, C) and text (B, M, C)."""
        query = attn.norm_q(attn.to_q(hidden_states))
        key, value = attn.norm_k(attn.to_k(encoder_hidden_states)), attn.to_v(encoder_hidden_states)
        parts = (part.unflatten(2, (attn.heads, -1)).transpose(1, 2) for part in (query, key, value))  # (B, heads, N, d)
        out = self.attend(*parts).transpose(1, 2).flatten(2).type_as(query)
        return attn.to_out[1](attn.to_out[0](out))


class OpenLTX(LTXVideoAttnProcessor):
    """Of an LTX block's own attention (`attn1`)."""

    def __init__(self, attend: Attend) -> None:
        super().__init__()
        self.attend = attend

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:  # fmt: skip
        """(B, N, C) for (B, N, C)."""
        return _attend_to_itself(attn, hidden_states, split_angles(image_rotary_emb, attn.heads), self.attend)


class OpenSpatial(AttnProcessor2_0):
    """Of a UNet block's attention within each frame (`attn1`), which has neither norms nor RoPE."""

    def __init__(self, attend: Attend) -> None:
        super().__init__()
        self.attend = attend

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """(B * T', h * w, C) for (B * T', h * w, C)."""
        parts = (make(hidden_states).unflatten(2, (attn.heads, -1)).transpose(1, 2) for make in (attn.to_q, attn.to_k, attn.to_v))
        return attn.to_out[1](attn.to_out[0](self.attend(*parts).transpose(1, 2).flatten(2)))


class OpenCogVideoX(CogVideoXAttnProcessor2_0):
    """Of a CogVideoX block's joint attention."""

    def __init__(self, attend: Attend) -> None:
        super().__init__()
        self.attend = attend

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor, attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Video and text states for video and text states, (B, N, C) each."""
        text = encoder_hidden_states.shape[1]
        states = torch.cat([encoder_hidden_states, hidden_states], 1)
        parts = (make(states).unflatten(2, (attn.heads, -1)).transpose(1, 2) for make in (attn.to_q, attn.to_k, attn.to_v))
        query, key, value = parts  # (B, heads, N, d)
        query = query if attn.norm_q is None else attn.norm_q(query)
        key = key if attn.norm_k is None else attn.norm_k(key)
        if image_rotary_emb is not None:
            query, key = (torch.cat([part[:, :, :text], apply_rotary_emb(part[:, :, text:], image_rotary_emb)], 2) for part in (query, key))
        out = self.attend(query, key, value).transpose(1, 2).flatten(2)
        out = attn.to_out[1](attn.to_out[0](out))
        return out[:, text:], out[:, :text]


def rotate_pairs(features: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """RoPE on (B, N, heads, d): neighbouring channels are pairs, angles (1, N, 1, d) on Wan, else as `split_angles`, all values twice."""
    even, odd = features.unflatten(-1, (-1, 2)).unbind(-1)
    cosine, sine = cosine[..., 0::2], sine[..., 1::2]
    return torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1).flatten(3).type_as(features)


def split_angles(rotary: tuple[Tensor, Tensor], heads: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of LTX, which go over all heads: (B, N, heads * d) -> (B, N, heads, d)."""
    cosine, sine = (part.unflatten(2, (heads, -1)) for part in rotary)
    return cosine, sine


def _attend_to_itself(attn: Any, states: Tensor, rotary: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
    """(B, N, C) for (B, N, C), where norms go over all heads; rotary: what `rotate_pairs` takes."""
    query, key, value = attn.norm_q(attn.to_q(states)), attn.norm_k(attn.to_k(states)), attn.to_v(states)
    query, key, value = (part.unflatten(2, (attn.heads, -1)) for part in (query, key, value))
    query, key = (rotate_pairs(part, *rotary) for part in (query, key))
    out = attend(*(part.transpose(1, 2) for part in (query, key, value)))
    return attn.to_out[1](attn.to_out[0](out.transpose(1, 2).flatten(2).type_as(query)))
