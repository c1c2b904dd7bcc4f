"""Attention that sees keys and values of another branch, in chosen layers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pipelines.attention.processors import processors
from pipelines.backbones.processors import Attend, attend


class Sharing:
    """The edits of the chosen layers; made by `sharing`. Where no edit is set, attention is plain.

    Attributes:
        layers: numbers of the edited layers.
    """

    def __init__(self, layers: Collection[int]) -> None:
        self.layers = tuple(layers)
        self._edits: dict[int, Attend] = {}

    def set(self, layer: int, edit: Attend) -> None:
        """From now on `edit` stands for the attention of `layer`."""
        self._edits[layer] = edit

    def clear(self) -> None:
        """Plain attention everywhere."""
        self._edits.clear()

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """What the layer's processor calls."""
        return self._edits.get(layer, attend)(query, key, value)


@contextmanager
def sharing(backbone: Any, layers: Collection[int]) -> Iterator[Sharing]:
    """Within, the blocks' own attention of these layers can be edited; afterwards they have their processors again."""
    state, blocks = Sharing(layers), backbone.blocks()
    replacements = {blocks[layer].name: backbone.processor(partial(state.attend, layer)) for layer in layers}
    with processors(backbone.transformer, replacements):
        yield state


def beside(more_key: Tensor, more_value: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention over the branch's own tokens and those of another (1, heads, M, d) (V-Warper, appendix B.2, token concatenation)."""
    rows = len(key)
    return attend(query, torch.cat([key, more_key.expand(rows, -1, -1, -1)], 2), torch.cat([value, more_value.expand(rows, -1, -1, -1)], 2))


def blended(other_key: Tensor, other_value: Tensor, other_mask: Tensor, mask: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Foreground from another branch, background from the own one (V-Warper, appendix B.2, eq. 10 to 12).

    f_ref attends to the own text and the other branch's foreground, f_gen to the own text and the own background; video tokens
    get f_ref where `mask` is and f_gen elsewhere, text tokens what they would have got anyway.

    Args:
        other_key, other_value: (1, heads, M, d) video tokens of the other branch, keys after RoPE.
        other_mask: (M,) bool foreground of the other branch; mask: (N_video,) bool of the own one.
    """
    plain = attend(query, key, value)
    text = key.shape[2] - len(mask)
    if not mask.any() or not other_mask.any():
        return plain
    words, video, rows = slice(None, text), slice(text, None), len(key)
    other = [
        torch.cat([own[:, :, words], part[:, :, other_mask].expand(rows, -1, -1, -1)], 2)
        for own, part in ((key, other_key), (value, other_value))
    ]
    foreground = attend(query[:, :, video], *other)
    own = [torch.cat([part[:, :, words], part[:, :, video][:, :, ~mask]], 2) for part in (key, value)]
    background = attend(query[:, :, video], *own) if own[0].shape[2] else foreground
    return torch.cat([plain[:, :, words], torch.where(mask[:, None], foreground, background)], 2)
