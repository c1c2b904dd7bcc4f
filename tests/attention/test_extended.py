"""Attention that sees tokens of other clips: equal to one masked softmax over all keys, however it is cut up."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pipelines.attention.extended import Shown, extended, extended_in_frames, shown_of, together
from pipelines.backbones.processors import attend

FRAMES, SIDE, TEXT = 3, 4, 2


def tokens(count: int, rows: int = 2, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (rows, 2 heads, count, 4)."""
    return tuple(torch.randn(3, rows, 2, count, 4, generator=torch.Generator().manual_seed(seed)))


def others() -> Shown:
    """Some tokens of another clip."""
    mask = torch.rand(FRAMES, 2, 2, generator=torch.Generator().manual_seed(5)) > 0.4
    _, key, value = tokens(FRAMES * SIDE, seed=9)
    return shown_of(key, value, mask)


def in_one(query: Tensor, key: Tensor, value: Tensor, shown: Shown, text: int, framewise: bool, weight: float) -> Tensor:
    """As eq. 1 has it: all keys side by side and log M added; weights are masks that are not 1."""
    frame = torch.cat([torch.full((text,), -1), torch.arange(FRAMES).repeat_interleave(SIDE)])
    allowed = (frame[:, None] == shown.frame) if framewise else (frame[:, None] >= 0).expand(-1, len(shown))
    own = torch.ones(len(frame), key.shape[2])
    mask = torch.cat([own, allowed.float() * weight], 1)
    scores = query @ torch.cat([key, shown.key], 2).mT / query.shape[-1] ** 0.5 + mask.log()
    return scores.softmax(-1) @ torch.cat([value, shown.value], 2)


@pytest.mark.parametrize("text", [0, TEXT])
@pytest.mark.parametrize("framewise", [True, False])
@pytest.mark.parametrize("weight", [1.0, 3.5])
@pytest.mark.parametrize("cells", [1, 150, 1 << 20])
def test_it_is_one_softmax_over_the_own_keys_and_those_shown(text: int, framewise: bool, weight: float, cells: int) -> None:
    parts, shown = tokens(text + FRAMES * SIDE), others()
    said = extended(*parts, shown, text, FRAMES, framewise=framewise, weight=weight, cells=cells)
    assert torch.allclose(said, in_one(*parts, shown, text, framewise, weight), atol=1e-6)


def test_nothing_shown_is_plain_attention() -> None:
    parts, none = tokens(FRAMES * SIDE), shown_of(*tokens(FRAMES * SIDE)[1:], torch.zeros(FRAMES, 2, 2, dtype=torch.bool))
    assert torch.equal(extended(*parts, none, 0, FRAMES), attend(*parts))
    assert torch.equal(extended_in_frames(*parts, none, 1), attend(*parts))


@pytest.mark.parametrize("weight", [1.0, 3.5])
def test_frames_apart_see_those_of_their_own_time(weight: float) -> None:
    """Layers that attend within a frame: each with its own keys and those shown to it."""
    parts, shown = tokens(SIDE, rows=2 * FRAMES), others()
    said = extended_in_frames(*parts, shown, FRAMES, weight=weight).unflatten(0, (2, FRAMES))
    query, key, value = (part.unflatten(0, (2, FRAMES)) for part in parts)
    for frame in range(FRAMES):
        here = shown.frame == frame
        keys, values = torch.cat([key[:, frame], shown.key[:, :, here]], 2), torch.cat([value[:, frame], shown.value[:, :, here]], 2)
        scores = query[:, frame] @ keys.mT / keys.shape[-1] ** 0.5
        scores[..., SIDE:] += math.log(weight)
        assert torch.allclose(said[:, frame], scores.softmax(-1) @ values, atol=1e-6)


def test_several_clips_of_a_half_see_the_same() -> None:
    shown = together([others(), others()])
    parts = tokens(FRAMES * SIDE, rows=4)
    said = extended(*parts, shown, 0, FRAMES)
    for row in range(4):
        half = Shown(shown.key[row // 2][None], shown.value[row // 2][None], shown.frame)
        one = extended(*(part[row : row + 1] for part in parts), half, 0, FRAMES)
        assert torch.allclose(said[row : row + 1], one, atol=1e-6)
