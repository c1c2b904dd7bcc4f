"""Laws of frame packing: what is packed is as if it were alone."""

from __future__ import annotations

from itertools import count, islice

import pytest
import torch
from torch import Tensor

from pipelines.attention.sharing import sharing
from pipelines.errors import UserError
from pipelines.training.packing import (
    Sample,
    Spans,
    _attend_by_lengths,
    attend_apart,
    count_tokens,
    denoise_packed,
    fill,
    from_strip,
    layout_of,
    packed,
    to_strip,
)

SHAPES = ((3, 8, 12), (1, 8, 8), (1, 8, 8), (2, 4, 6), (5, 6, 6))
WORDS = ("a red ball", "", "a blue cube spins", "the sea", "a star rolls over the grass")


def samples(wan, order: tuple[int, ...] = (0, 1, 2, 3, 4)) -> list[Sample]:
    """Clips and pictures of several sizes, noise levels and texts, of which two are shorter than the others."""
    made = []
    for index in order:
        generator = torch.Generator().manual_seed(index)
        latents = torch.randn((1, 4, *SHAPES[index]), generator=generator)
        text = wan.encode_text([WORDS[index]])[:, : 16 if index < 3 else 9]
        made.append(Sample(latents, torch.tensor(900.0 - 170.5 * index), text))
    return made


def alone(wan, sample: Sample) -> Tensor:
    return wan.denoise(sample.latents, sample.timestep, sample.text)


def close(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).norm() <= 1e-5 * other.norm())


def traces(wan) -> list:
    modules = wan.transformer.named_modules()
    return [
        [(name, id(module), len(module._forward_hooks)) for name, module in modules],
        {*map(id, wan.transformer.attn_processors.values())},
    ]


# --- packed is alone -------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_packed_is_one_by_one(wan) -> None:
    given = samples(wan)
    for made, sample in zip(denoise_packed(wan, given), given, strict=True):
        assert made.shape == sample.latents.shape and close(made, alone(wan, sample))


@torch.no_grad()
def test_packed_is_padded_in_a_batch_where_sizes_allow_one(wan) -> None:
    given = samples(wan, (1, 2))
    batch = wan.denoise(*(torch.cat([getattr(s, name).reshape(1, *getattr(s, name).shape[1:]) for s in given]) for name in Sample._fields))
    assert close(torch.cat(denoise_packed(wan, given)), batch)


def test_loss_and_gradients_are_the_same(wan) -> None:
    wan.transformer.requires_grad_(True)
    given = [sample._replace(latents=sample.latents.requires_grad_(), text=sample.text.clone().requires_grad_()) for sample in samples(wan)]
    gradients, losses = [], []
    for predict in (lambda: denoise_packed(wan, given), lambda: [alone(wan, sample) for sample in given]):
        loss = torch.stack([made.square().mean() for made in predict()]).sum()
        losses.append(loss.detach())
        wanted = [*wan.transformer.parameters(), *(sample.latents for sample in given), *(sample.text for sample in given)]
        gradients.append(torch.autograd.grad(loss, wanted, allow_unused=True))
    assert close(*losses)
    pairs = [(one, other) for one, other in zip(*gradients, strict=True) if other is not None]
    assert len(pairs) > 50 and all((one - other).norm() <= 2e-5 * other.norm() + 1e-9 for one, other in pairs)


@torch.no_grad()
def test_order_does_not_matter(wan) -> None:
    order = (3, 0, 4, 2, 1)
    straight, mixed = denoise_packed(wan, samples(wan)), denoise_packed(wan, samples(wan, order))
    assert all(close(made, straight[index]) for made, index in zip(mixed, order, strict=True))


@torch.no_grad()
def test_places_begin_anew_in_each_sample(wan) -> None:
    one = samples(wan)[0]
    first, second = denoise_packed(wan, [one, one])
    assert close(second, first)
    layout = layout_of(wan, [one, samples(wan)[3]])
    with packed(wan, layout):
        cosine, sine = wan.transformer.rope(torch.empty(0))
    for part, sample in zip(
        zip(cosine.split(layout.video.lengths, 1), sine.split(layout.video.lengths, 1), strict=True), [one, samples(wan)[3]], strict=True
    ):
        assert all(torch.equal(mine, its) for mine, its in zip(part, wan.transformer.rope(sample.latents), strict=True))


@torch.no_grad()
def test_others_in_the_sequence_are_not_seen(wan) -> None:
    given = samples(wan)
    before = denoise_packed(wan, given)
    given[0] = given[0]._replace(latents=given[0].latents * -3, timestep=torch.tensor(5.0), text=given[0].text * 2)
    after = denoise_packed(wan, given)
    assert all(torch.equal(one, other) for one, other in zip(before[1:], after[1:], strict=True)) and not close(after[0], before[0])


def test_there_is_no_mask_of_all_against_all(one_thread) -> None:
    """Of 100,000 tokens against each other it would have 40 GB."""
    spans = Spans((50,) * 1990 + (500,))
    query, key, value = torch.randn(3, 1, sum(spans.lengths), 1, 8)
    out = attend_apart(query, key, value, spans, spans)
    last = torch.nn.functional.scaled_dot_product_attention(*(part[:, -500:].transpose(1, 2) for part in (query, key, value)))
    assert torch.allclose(out[:, -500:], last.transpose(1, 2), atol=1e-5)


def test_attention_by_lengths_gets_what_it_wants() -> None:
    """The kernel is for cards: here its own description of what it takes and gives has to do."""
    query, key = (torch.empty(1, n, 6, 32, device="meta") for n in (30, 12))
    out = _attend_by_lengths(query, key, key.to(torch.bfloat16), Spans((10, 20)), Spans((4, 8)))
    assert out.shape == query.shape and out.dtype == torch.bfloat16


def test_strips_are_cut_in_the_order_of_tokens(wan) -> None:
    latents, patch = torch.randn(1, 4, 3, 8, 12), wan.transformer.config.patch_size
    strip = to_strip(latents, patch)
    assert torch.equal(from_strip(strip, (3, 4, 6), patch), latents)
    tokens = wan.transformer.patch_embedding(latents).flatten(2)
    assert torch.allclose(wan.transformer.patch_embedding(strip).flatten(2), tokens, atol=1e-5)


# --- nothing is left -------------------------------------------------------------------------------------------------


def test_nothing_is_left_also_after_an_error(wan) -> None:
    before, given = traces(wan), samples(wan)
    expected = alone(wan, given[0])
    denoise_packed(wan, given)
    assert traces(wan) == before
    with pytest.raises(RuntimeError, match="memory"), packed(wan, layout_of(wan, given)):
        raise RuntimeError("out of memory")
    assert traces(wan) == before and torch.equal(alone(wan, given[0]), expected)


def test_what_cannot_be_packed_is_said(wan, cogvideox) -> None:
    given = samples(wan)
    with pytest.raises(UserError, match="Wan family"):
        denoise_packed(cogvideox, given)
    with pytest.raises(ValueError, match="nothing"):
        denoise_packed(wan, [])
    with pytest.raises(ValueError, match="multiples"):
        denoise_packed(wan, [given[0]._replace(latents=torch.zeros(1, 4, 1, 7, 8))])
    with sharing(wan, [0]), pytest.raises(UserError, match="edited already"):
        denoise_packed(wan, given)


# --- filling ---------------------------------------------------------------------------------------------------------


def test_groups_are_filled_by_tokens(wan) -> None:
    lengths = [72, 16, 16, 12, 45]
    given = samples(wan)
    assert [count_tokens(wan, sample.latents) for sample in given] == lengths
    groups = list(fill(given, 90, lambda sample: count_tokens(wan, sample.latents)))
    assert [[count_tokens(wan, s.latents) for s in group] for group in groups] == [[72, 16], [16, 12, 45]]
    with pytest.raises(ValueError, match="72 tokens"):
        list(fill(lengths, 71, lambda length: length))
    assert list(fill([], 10, len)) == []


def test_samples_without_end_are_grouped_as_they_come() -> None:
    groups = fill((number % 7 + 1 for number in count()), 33_600, lambda length: length)
    assert all(33_594 <= sum(group) <= 33_600 for group in islice(groups, 3))
