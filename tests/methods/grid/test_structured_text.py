"""Structured text attention against a slow reference, and the share of attention that leaks, against plain arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from pipelines.methods.grid.layout import Layout
from pipelines.methods.grid.mask import attend_by_route, leaked, routed, routes_of, shares, sight, watching
from pipelines.methods.grid.prompt import Clause, GridPrompt
from pipelines.methods.grid.text import GridText, read_clauses

LAYOUT = Layout(2, 2)
COMPOSED = {2: (0, 1), 3: (0, 1)}


@pytest.fixture
def text(wan) -> GridText:
    words = ("a red ball", "the sea", "rolls over the grass", "snow")
    return read_clauses(wan, GridPrompt(LAYOUT, "a blue star", tuple(map(Clause, words))))


def dense_mask(text: GridText, tokens: list[np.ndarray], sees) -> Tensor:
    """(N, M) bool, the definition: q_A sees T_g and T_A, q_Out sees T_g, T_A, T_B and T_Out."""
    mask = torch.zeros(sum(map(len, tokens)), text.states.shape[1], dtype=torch.bool)
    for own, cells in zip(tokens, sees, strict=True):
        for token in own:
            for place in (*text.shared, *(place for cell in cells for place in text.clauses[cell])):
                mask[token, place] = True
    return mask


def slow(query: Tensor, key: Tensor, mask: Tensor) -> Tensor:
    """softmax over the allowed keys."""
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    return scores.masked_fill(~mask, -torch.inf).softmax(-1)


def test_who_sees_what_is_the_papers() -> None:
    assert sight(COMPOSED, 4) == [(0,), (1,), (0, 1, 2), (0, 1, 3)]
    assert sight({}, 4) == [(0,), (1,), (2,), (3,)]
    assert sight(COMPOSED, 4, structured=False) == [(0, 1, 2, 3)] * 4


@pytest.mark.parametrize("sees", [sight(COMPOSED, 4), sight({}, 4), sight({}, 4, structured=False)])
def test_routes_equal_a_dense_mask(text: GridText, sees) -> None:
    torch.manual_seed(0)
    tokens = LAYOUT.tokens(2, 4, 6)
    query, key, value = torch.randn(2, 3, 48, 8), *torch.randn(2, 2, 3, text.states.shape[1], 8)
    reference = slow(query, key, dense_mask(text, tokens, sees)) @ value
    assert torch.allclose(attend_by_route(routes_of(text, tokens, sees), query, key, value), reference, atol=1e-5)


@torch.no_grad()
def test_with_everything_in_sight_the_model_is_as_it_was(wan, text: GridText) -> None:
    latents, timestep = wan.initial_noise(5, 64, 64, 0), torch.tensor(500)
    tokens = LAYOUT.tokens(*wan.tokens(latents).grid)
    before, plain = wan.transformer.attn_processors, wan.denoise(latents, timestep, text.states)
    with routed(wan, routes_of(text, tokens, sight({}, 4, structured=False))):
        assert torch.allclose(wan.denoise(latents, timestep, text.states), plain, atol=1e-5)
    with routed(wan, routes_of(text, tokens, sight({}, 4))):
        assert not torch.allclose(wan.denoise(latents, timestep, text.states), plain, atol=1e-3)
    assert wan.transformer.attn_processors == before and wan.denoise(latents, timestep, text.states).equal(plain)


@torch.no_grad()
def test_words_of_a_cell_reach_no_other_through_text(wan, text: GridText) -> None:
    """Attention to text alone: with self-attention switched off, other cells' predictions do not change at all."""
    for block in wan.transformer.blocks:
        block.attn1.to_out[0].weight.zero_()
    latents, timestep = wan.initial_noise(5, 64, 64, 0), torch.tensor(500)
    tokens = LAYOUT.tokens(*wan.tokens(latents).grid)
    other = text.states.clone()
    other[:, list(text.clauses[1])] = torch.randn(len(text.clauses[1]), other.shape[-1], generator=torch.Generator().manual_seed(1))
    for sees, changed in ((sight({}, 4), {1}), (sight(COMPOSED, 4), {1, 2, 3})):
        with routed(wan, routes_of(text, tokens, sees)):
            first, second = (LAYOUT.cut(wan.denoise(latents, timestep, states)) for states in (text.states, other))
        assert {cell for cell in range(4) if not torch.allclose(first[cell], second[cell], atol=1e-5)} == changed


@torch.no_grad()
@pytest.mark.parametrize("structured", [True, False])
def test_the_leak_is_what_a_slow_account_finds(wan, text: GridText, structured: bool) -> None:
    latents, timestep = wan.initial_noise(5, 64, 64, 0), torch.tensor(500)
    tokens, sees = LAYOUT.tokens(*wan.tokens(latents).grid), sight({}, 4, structured)
    routes, seen = routes_of(text, tokens, sees), {}
    attention = wan.blocks()[1].cross

    def look(name):
        return lambda module, inputs, output: seen.update({name: output[-1:].clone()})

    handles = [getattr(attention, name).register_forward_hook(look(name)) for name in ("query", "key")]
    with routed(wan, routes), watching(wan, latents, routes, text.parts, [1]) as watched:
        assert watched.mean() is None
        wan.guided(latents, timestep, text.states, text.empty, 3.0)
        found = watched.add()
    for handle in handles:
        handle.remove()
    query, key = (seen[name].unflatten(2, (attention.heads, -1)).transpose(1, 2) for name in ("query", "key"))
    weights = slow(query, key, dense_mask(text, tokens, sees)).mean((0, 1))
    expected = [[weights[own][:, list(part)].sum(1).mean() for part in text.parts] for own in tokens]
    assert np.allclose(found, expected, atol=1e-5) and np.allclose(found.sum(1), 1, atol=1e-5) and np.allclose(watched.mean(), found)
    assert (leaked(found, sight({}, 4)) == 0) == structured
    assert not wan.transformer.blocks[1].attn2.norm_q._forward_hooks


def test_looking_in_blocks_changes_nothing(text: GridText, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.methods.grid import mask

    torch.manual_seed(0)
    routes = routes_of(text, LAYOUT.tokens(2, 4, 6), sight({}, 4))
    query, key = torch.randn(1, 48, 16), torch.randn(1, text.states.shape[1], 16)
    whole = shares(query, key, 2, routes, text.parts)
    monkeypatch.setattr(mask, "ROWS", 1)
    assert torch.allclose(shares(query, key, 2, routes, text.parts), whole, atol=1e-6)


def test_a_composition_may_see_its_sources() -> None:
    even = np.full((4, 5), 0.2)
    assert leaked(even, sight({}, 4)) == pytest.approx(0.75) and leaked(even, sight(COMPOSED, 4)) == pytest.approx((3 + 3 + 1 + 1) / 16)


def test_texts_of_other_lengths_are_possible(wan, text: GridText) -> None:
    layout = replace(wan.tokens(wan.initial_noise(5, 64, 64, 0)), context=text.states.shape[1])
    assert wan.blocks()[0].cross.length("key", layout) == text.states.shape[1]
