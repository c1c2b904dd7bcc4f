"""Which part is which: a known permutation is found among the characters alone, and far matches do not count."""

from __future__ import annotations

import torch

from pipelines.methods.storyboard.masks import above_otsu
from pipelines.methods.storyboard.refinement import mask_on_grid, on_grid, partners

GRID = (2, 3, 3)
COUNT = 18


def test_partners_are_found_among_both_anchors() -> None:
    draw = torch.Generator().manual_seed(0)
    anchors = [torch.randn(COUNT, 8, generator=draw) for _ in range(2)]
    order = torch.randperm(2 * COUNT, generator=draw)[:COUNT]
    everywhere = torch.ones(GRID, dtype=torch.bool)
    found = partners(torch.cat(anchors)[order] * 3, everywhere, anchors, [everywhere, everywhere])
    assert torch.equal(found.index, order) and found.near.all()


def test_only_characters_count_and_only_near_ones() -> None:
    draw = torch.Generator().manual_seed(0)
    anchor, mask = torch.randn(COUNT, 8, generator=draw), torch.zeros(GRID, dtype=torch.bool)
    mask[:, 1] = True
    shot = anchor.clone()
    shot[3:6] = torch.randn(3, 8, generator=draw)  # a part of the character that the anchor does not have
    found = partners(shot, mask, [anchor], [mask])
    assert not found.near[~mask.flatten()].any()
    assert not found.near[3:6].any() and found.near[12:15].all()
    assert mask.flatten()[found.index[found.near]].all()


def test_without_a_character_there_are_no_partners() -> None:
    features, nothing = torch.randn(COUNT, 8), torch.zeros(GRID, dtype=torch.bool)
    assert not partners(features, nothing, [features], [~nothing]).near.any()
    assert not partners(features, ~nothing, [features], [nothing]).near.any()


def test_grids() -> None:
    features = torch.arange(2 * 4 * 4.0).view(2, 4, 4, 1)
    assert torch.equal(on_grid(features, (2, 4, 4)), features.flatten(0, 2))
    assert on_grid(features, (2, 2, 2)).flatten().tolist() == [2.5, 4.5, 10.5, 12.5, 18.5, 20.5, 26.5, 28.5]
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, :2, :2] = True
    assert mask_on_grid(mask, (1, 2, 2)).flatten().tolist() == [True, False, False, False]


def test_otsu_divides_what_stands_out_from_the_rest() -> None:
    values = torch.full((1, 8, 8), 0.1)
    values[0, :4, :4] = 0.6
    assert above_otsu(values, (1, 2, 2)).flatten().tolist() == [True, False, False, False]
    assert not above_otsu(torch.full((1, 8, 8), 0.4), (1, 2, 2)).any()
