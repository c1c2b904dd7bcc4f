"""Attention to another branch: nothing changes without it, its own laws, and open processors equal those of diffusers."""

from __future__ import annotations

import pytest
import torch

from pipelines.attention.sharing import beside, blended, sharing
from pipelines.backbones.processors import attend


def predict(backbone) -> torch.Tensor:
    latents = backbone.initial_noise(9, 32, 48, 0)
    with torch.no_grad():
        text, empty = backbone.encode_text(["a red ball", ""]).chunk(2)
        return backbone.guided(latents, torch.tensor(500), text, empty, 3.0)


def parts(*tokens: int, rows: int = 2) -> tuple[torch.Tensor, ...]:
    """Queries, keys and values of so many tokens each."""
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(rows, 2, count, 4, generator=generator) for count in tokens)


def test_an_open_processor_is_the_families_own(backbone) -> None:
    before, own = predict(backbone), dict(backbone.transformer.attn_processors)
    with sharing(backbone, range(len(backbone.blocks()))):
        assert torch.allclose(predict(backbone), before, atol=1e-6)
    assert all(processor is own[name] for name, processor in backbone.transformer.attn_processors.items())


def test_edits_count_in_their_layer_until_they_are_cleared(backbone) -> None:
    before, calls = predict(backbone), []
    with sharing(backbone, [1]) as shared:
        shared.set(1, lambda query, key, value: calls.append(query.shape) or attend(query, key, value * 2))
        assert not torch.allclose(predict(backbone), before, atol=1e-4)
        shared.clear()
        assert torch.allclose(predict(backbone), before, atol=1e-6)
    block = backbone.blocks()[1]
    layout = block.tokens(backbone.tokens(backbone.initial_noise(9, 32, 48, 0)))
    frames = layout.frames if block.folded else 1  # each on its own
    assert len(calls) == 1 and calls[0][:3] == (2 * frames, layout.heads, layout.total // frames)


def test_everything_is_back_after_an_error(backbone) -> None:
    own = dict(backbone.transformer.attn_processors)
    with pytest.raises(RuntimeError), sharing(backbone, [0, 1]) as shared:
        shared.set(0, lambda *_: (_ for _ in ()).throw(RuntimeError("out of memory")))
        predict(backbone)
    assert all(processor is own[name] for name, processor in backbone.transformer.attn_processors.items())


def test_its_own_tokens_beside_it_change_nothing() -> None:
    """Each key twice: the softmax halves, the sum stays."""
    query, key, value = parts(6, 6, 6)
    assert torch.allclose(beside(key[:1], value[:1], query[:1], key[:1], value[:1]), attend(query[:1], key[:1], value[:1]), atol=1e-6)


def test_blending_the_branch_with_itself() -> None:
    """With the whole of itself as foreground it is plain attention; text tokens always are."""
    query, key, value = parts(8, 8, 8, rows=1)
    text, whole = 2, torch.ones(6, dtype=torch.bool)
    same = blended(key[:, :, text:], value[:, :, text:], whole, whole, query, key, value)
    assert torch.allclose(same, attend(query, key, value), atol=1e-6)


def test_blending_takes_foreground_from_the_other_and_background_from_its_own() -> None:
    query, key, value = parts(8, 8, 8)
    other_key, other_value = (part[:1] for part in parts(5, 5)[:2])
    mask, other_mask = torch.tensor([True, False, True, False, False, True]), torch.tensor([True, True, False, False, True])
    out = blended(other_key, other_value, other_mask, mask, query, key, value)
    plain = attend(query, key, value)
    assert torch.equal(out[:, :, :2], plain[:, :, :2])
    kept = torch.tensor([0, 1, *(2 + index for index in range(6) if not mask[index])])
    background = attend(query, key[:, :, kept], value[:, :, kept])[:, :, 2:]
    assert torch.allclose(out[:, :, 2:][:, :, ~mask], background[:, :, ~mask], atol=1e-6)
    seen = [
        torch.cat([own[:, :, :2], part[:, :, other_mask].expand(2, -1, -1, -1)], 2)
        for own, part in ((key, other_key), (value, other_value))
    ]
    assert torch.allclose(out[:, :, 2:][:, :, mask], attend(query, *seen)[:, :, 2:][:, :, mask], atol=1e-6)


@pytest.mark.parametrize("empty", ["mask", "other"])
def test_without_a_foreground_it_is_plain(empty: str) -> None:
    query, key, value = parts(6, 6, 6)
    nothing, everything = torch.zeros(6, dtype=torch.bool), torch.ones(6, dtype=torch.bool)
    masks = (everything, nothing) if empty == "mask" else (nothing, everything)
    assert torch.equal(blended(key[:1], value[:1], *masks, query, key, value), attend(query, key, value))


def test_all_foreground_without_text_has_no_background() -> None:
    query, key, value = parts(6, 6, 6)
    whole = torch.ones(6, dtype=torch.bool)
    assert torch.isfinite(blended(key[:1], value[:1], whole, whole, query, key, value)).all()
