"""Attention that also sees tokens of other clips: all of them, or those of the same frame (Motion by Queries, appendix B.10)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pipelines.backbones.processors import attend

CELLS = 1 << 24
"""Queries times keys that a mask may have: more frames than fit are done one after the other, which needs no mask."""


@dataclass(frozen=True)
class Shown:
    """Tokens of other clips that are shown.

    Attributes:
        key, value: (rows, heads, M, d), keys after RoPE; rows are the halves of the guidance.
        frame: (M,) the latent frame of each.
    """

    key: Tensor
    value: Tensor
    frame: Tensor

    def __len__(self) -> int:
        return len(self.frame)


def shown_of(key: Tensor, value: Tensor, mask: Tensor) -> Shown:
    """The video tokens (rows, heads, N, d) of a clip that its mask (T', h, w) bool covers."""
    chosen = mask.flatten().nonzero()[:, 0]
    return Shown(key[:, :, chosen], value[:, :, chosen], chosen // mask[0].numel())


def together(parts: Sequence[Shown]) -> Shown:
    """All of them."""
    return Shown(*(torch.cat([getattr(part, name) for part in parts], -2 if name != "frame" else 0) for name in ("key", "value", "frame")))


def extended(
    query: Tensor, key: Tensor, value: Tensor, shown: Shown, text: int, frames: int, *, framewise: bool = True, weight: float = 1.0,
    cells: int = CELLS,
) -> Tensor:  # fmt: skip
    """A = softmax(Q K+^T / sqrt(d) + log M+) V+ (Motion by Queries, eq. 1): a clip's own tokens, and those that are shown to it.

    In full attention over space and time the own keys are those of the whole clip, and framewise only the added ones belong to
    the query's frame. Text tokens see what they always see.

    Args:
        query, key, value: (rows, heads, text + T' * h * w, d); rows are the halves of the guidance, outermost, and clips.
        shown: with a row for each half.
        text: text tokens in front.
        frames: T'.
        framewise: show each frame the tokens of the same frame; else all of them.
        weight: how much a shown token counts, as if it were there so many times.
        cells: see CELLS.
    """
    if not len(shown):
        return attend(query, key, value)
    shown = _for_rows(shown, len(query))
    parts = [attend(query[:, :, :text], key, value)] if text else []
    video = query[:, :, text:]
    side, length = video.shape[2] // frames, key.shape[2] + len(shown)
    at_once = max(1, cells // (side * length)) if framewise else frames
    for first in range(0, frames, at_once):
        last = min(first + at_once, frames)
        seen = _within(shown, first, last) if framewise else shown
        own = torch.arange(first, last, device=query.device).repeat_interleave(side) if framewise and last - first > 1 else None
        mask = _mask(own, seen, key.shape[2], weight, query)
        keys, values = torch.cat([key, seen.key], 2), torch.cat([value, seen.value], 2)
        parts.append(F.scaled_dot_product_attention(video[:, :, first * side : last * side], keys, values, attn_mask=mask))
    return torch.cat(parts, 2)


def extended_in_frames(
    query: Tensor, key: Tensor, value: Tensor, shown: Shown, frames: int, *, framewise: bool = True, weight: float = 1.0
) -> Tensor:
    """The same where each frame attends to itself alone: (rows * T', heads, h * w, d), as in a UNet."""
    if not len(shown):
        return attend(query, key, value)
    query, key, value = (part.unflatten(0, (-1, frames)) for part in (query, key, value))
    shown, parts = _for_rows(shown, len(query)), []
    for frame in range(frames):
        seen = _within(shown, frame, frame + 1) if framewise else shown
        keys, values = torch.cat([key[:, frame], seen.key], 2), torch.cat([value[:, frame], seen.value], 2)
        mask = _mask(None, seen, key.shape[3], weight, query)
        parts.append(F.scaled_dot_product_attention(query[:, frame], keys, values, attn_mask=mask))
    return torch.stack(parts, 1).flatten(0, 1)


def _mask(own: Tensor | None, seen: Shown, count: int, weight: float, like: Tensor) -> Tensor | None:
    """log M+ for `count` own keys and those that are seen, added to the scores; None where nothing has to be.

    Args:
        own: (Q,) frame of each query, which sees its own frame's alone; None where all that is seen is for all of them.
    """
    if own is None and weight == 1:
        return None
    shown = like.new_full((1 if own is None else len(own), len(seen)), math.log(weight))
    if own is not None:
        shown = shown.masked_fill(own[:, None] != seen.frame, -math.inf)
    return torch.cat([shown.new_zeros(len(shown), count), shown], 1)


def _for_rows(shown: Shown, rows: int) -> Shown:
    """Each half's tokens once for every clip of that half."""
    clips = rows // len(shown.key)
    return shown if clips == 1 else Shown(*(part.repeat_interleave(clips, 0) for part in (shown.key, shown.value)), shown.frame)


def _within(shown: Shown, first: int, last: int) -> Shown:
    """Those of frames first..last - 1."""
    chosen = ((shown.frame >= first) & (shown.frame < last)).nonzero()[:, 0]
    return Shown(shown.key[:, :, chosen], shown.value[:, :, chosen], shown.frame[chosen])
