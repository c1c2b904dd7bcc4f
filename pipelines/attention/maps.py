"""Where a word is in the picture: attention between text tokens and video tokens as maps over the clip.

Definitions: V-Warper, section 3.3 (foreground from the "video-to-text" region of joint attention, softmax over the full joint
key set), and for models with cross attention the attention map of the subject token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipelines.attention.edits import Recording, recording
from pipelines.attention.windows import Window
from pipelines.backbones.layout import TokenLayout

Direction = Literal["video_to_text", "text_to_video"]
CELLS = 1 << 26
"""Numbers of attention that are held at once, all heads together: a quarter of a gigabyte in float32."""


def joint_map(
    query: Tensor, key: Tensor, layout: TokenLayout, tokens: Sequence[int], direction: Direction = "video_to_text", cells: int = CELLS
) -> Tensor:
    """Attention between text tokens and video in joint attention, averaged over heads and over `tokens`: (B, T', h, w).

    Args:
        query, key: (B, N, heads * d), text tokens first, after RoPE (`backbone.rotate`).
        tokens: positions of the subject's text tokens.
        direction: "video_to_text" takes rows of video queries and the columns of the text tokens, "text_to_video" the reverse.
            Rows are normalised over all N keys, text and video.
    """
    query, key = _heads(query, layout.heads), _heads(key, layout.heads)
    chosen = torch.as_tensor(tokens, device=query.device)
    if direction == "video_to_text":
        return _columns(query[:, :, layout.text :], key, chosen, cells).unflatten(1, layout.grid)
    rows = _rows(query[:, :, chosen], key)  # (B, H, tokens, N)
    return rows[..., layout.text :].mean((1, 2)).unflatten(1, layout.grid)


def cross_map(
    query: Tensor, key: Tensor, layout: TokenLayout, tokens: Sequence[int], cells: int = CELLS, shown: Tensor | None = None
) -> Tensor:
    """Attention of video queries to text tokens in cross attention, averaged over heads and over `tokens`: (B, T', h, w).

    Args:
        query: (B, N_video, heads * d); key: (B, N_text, heads * d); neither is rotated in cross attention.
        tokens: positions of the subject's text tokens.
        shown: (B, N_text) bool, the text tokens that the model attends to; None for all.
    """
    chosen = torch.as_tensor(tokens, device=query.device)
    return _columns(_heads(query, layout.heads), _heads(key, layout.heads), chosen, cells, shown).unflatten(1, layout.grid)


def scale(values: Tensor) -> Tensor:
    """Min-max over each clip: (B, T', h, w) -> 0..1; a flat map becomes 0."""
    low, high = values.amin((1, 2, 3), keepdim=True), values.amax((1, 2, 3), keepdim=True)
    return (values - low) / (high - low).clamp_min(1e-12)


class TextMaps:
    """Maps of a phrase, collected over layers and steps; made by `text_maps`."""

    def __init__(
        self, backbone: Any, queries: Recording, keys: Recording, masks: list[Tensor | None], tokens: Sequence[int], direction: Direction
    ) -> None:
        self._backbone, self._queries, self._keys, self._masks = backbone, queries, keys, masks
        self._tokens, self._direction = tokens, direction
        self._sum: Tensor | None = None
        self._count = 0

    def add(self, latents: Tensor) -> Tensor:
        """After a forward pass over `latents`: this pass's map, mean over layers, (rows, T', h, w); it counts towards `mean`."""
        maps = torch.stack([self._layer(layer, latents) for layer in self._queries.layers]).mean(0)
        self._sum = maps if self._sum is None else self._sum + maps
        self._count += 1
        return maps

    def mean(self) -> Tensor:
        """Mean over all passes added so far, (rows, T', h, w). RuntimeError before the first."""
        if self._sum is None:
            raise RuntimeError("No forward pass was added to the maps yet.")
        return self._sum / self._count

    def _layer(self, layer: int, latents: Tensor) -> Tensor:
        query, key = self._queries.latest(layer), self._keys.latest(layer)
        layout = self._backbone.tokens(latents)
        if not layout.text:
            mask = self._masks[-1]
            own = self._backbone.blocks()[layer].tokens(layout)
            maps = cross_map(query, key, own, self._tokens, shown=None if mask is None else mask[-len(key) :])
            return maps if own.grid == layout.grid else F.interpolate(maps, layout.grid[1:], mode="bilinear")
        query, key = (self._backbone.rotate(part, latents[:1]) for part in (query, key))
        return joint_map(query, key, layout, self._tokens, self._direction)


@contextmanager
def text_maps(
    backbone: Any,
    latents: Tensor,
    tokens: Sequence[int],
    *,
    layers: Window | Sequence[int] | None = None,
    direction: Direction = "video_to_text",
    rows: int = 1,
) -> Iterator[TextMaps]:
    """Within, collect maps of the text tokens `tokens` (see `find_tokens`) from joint or cross attention, whichever there is.

    Args:
        latents: any of the shape that will be denoised.
        layers: as for `recording`.
        rows: the last rows of each pass: 1 is the conditional half.
    """
    blocks = backbone.blocks()
    blocks = [block.cross or block for block in blocks]
    layout = backbone.tokens(latents)
    with ExitStack() as stack:
        queries = stack.enter_context(recording(blocks, "query", layout, layers=layers, rows=rows))
        keys = stack.enter_context(recording(blocks, "key", layout, layers=layers, rows=rows))
        masks = stack.enter_context(_text_masks(backbone.transformer))
        yield TextMaps(backbone, queries, keys, masks, tokens, direction)


@contextmanager
def _text_masks(transformer: nn.Module) -> Iterator[list[Tensor | None]]:
    """Yields a list whose last element is the text mask (B, N_text) of the last forward pass; None where the family has none."""
    masks: list[Tensor | None] = [None]

    def look(module: nn.Module, inputs: Any, options: dict[str, Any]) -> None:
        masks[:] = [options.get("encoder_attention_mask")]

    handle = transformer.register_forward_pre_hook(look, with_kwargs=True)
    try:
        yield masks
    finally:
        handle.remove()


def find_tokens(tokenizer: Any, prompt: str, phrase: str) -> list[int]:
    """Positions of the tokens of `phrase` in the tokenised `prompt`, at its first occurrence as whole words.

    Compares tokens, not characters: the phrase is tokenised alone and looked up. Raises ValueError if it does not occur.
    """
    whole = tokenizer(prompt).input_ids
    part = tokenizer(phrase, add_special_tokens=False).input_ids
    for start in range(len(whole) - len(part) + 1 if part else 0):
        if whole[start : start + len(part)] == part:
            return list(range(start, start + len(part)))
    raise ValueError(f"{phrase!r} does not occur in {prompt!r}")


def _heads(features: Tensor, heads: int) -> Tensor:
    """(B, N, heads * d) -> (B, heads, N, d) float32."""
    return features.float().unflatten(2, (heads, -1)).transpose(1, 2)


def _rows(query: Tensor, key: Tensor, shown: Tensor | None = None) -> Tensor:
    """softmax(q k^T / sqrt(d)): (B, H, M, d), (B, H, N, d) -> (B, H, M, N), over the keys that are `shown` (B, N)."""
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    return (scores if shown is None else scores.masked_fill(~shown[:, None, None], -torch.inf)).softmax(-1)


def _columns(query: Tensor, key: Tensor, tokens: Tensor, cells: int, shown: Tensor | None = None) -> Tensor:
    """The chosen columns of the attention, mean over them and over heads, row block by row block: (B, M)."""
    chunk = max(1, cells // key.shape[:-1].numel())
    parts = [_rows(part, key, shown)[..., tokens].mean((1, 3)) for part in query.split(chunk, dim=2)]
    return torch.cat(parts, dim=1)
