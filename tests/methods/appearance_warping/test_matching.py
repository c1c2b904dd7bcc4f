"""The measure of matching: truth comes from the world's surface coordinates, and a perfect matcher is found perfect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.evaluation.rows import Row
from pipelines.methods.appearance_warping import matching
from pipelines.methods.appearance_warping.matching import Pair, best_possible, centres, held_out_pairs, make_pair, pck_of_layers, truth_of
from pipelines.playground.render import render
from pipelines.playground.scene import Scene, instance, still

GRID = (3, 4, 6)
SCENE = Scene(0, "meadow", "static", (replace(instance(100_003), motion="right", size=0.8),))


def test_the_truth_of_a_picture_with_itself_is_where_each_token_is() -> None:
    rest = render(still(SCENE), 1, 64, 96)
    clip = replace(rest, frames=np.repeat(rest.frames, 9, 0), surface=np.repeat(rest.surface, 9, 1))
    truth, middles = truth_of(rest, clip, GRID), centres(GRID, (64, 96))
    there = np.isfinite(truth).all(-1)
    assert there.any() and not there.all()
    for frame in range(GRID[0]):
        assert np.abs(truth[frame, there[frame]] - middles[there[frame]]).max() <= 1.0
    pair = Pair(rest.frames[0], clip.frames, "", truth)
    assert best_possible(pair, GRID, 0.05) == 1.0


def test_the_truth_follows_the_subject() -> None:
    """Of a toy that moves to the right the same place is found in the reference, whose toy is at rest."""
    rest, clip = render(still(SCENE), 1, 64, 96), render(SCENE, 9, 64, 96)
    truth, middles = truth_of(rest, clip, (3, 16, 24)), centres((3, 16, 24), (64, 96))
    offsets = [np.nanmean(truth[frame, :, 0] - middles[:, 0]) for frame in range(3)]
    assert offsets[0] > offsets[1] > offsets[2], "the farther it has gone, the farther back its place"


def test_pairs_are_held_out_and_show_one_instance(wan) -> None:
    pair = next(held_out_pairs(wan, 1, 9, 32, 48))
    assert pair.reference.shape == (32, 48, 3) and pair.target.shape == (9, 32, 48, 3) and pair.words
    assert np.isfinite(pair.truth).any()


@pytest.mark.parametrize("family", ["wan", "cogvideox"])
def test_every_descriptor_and_layer_has_a_figure(family, request, monkeypatch) -> None:
    backbone = request.getfixturevalue(family)
    monkeypatch.setattr(matching, "STEPS", 4)
    monkeypatch.setattr(matching, "AT_STEPS", (1, 2))
    scores = pck_of_layers(backbone, make_pair(backbone, SCENE, SCENE, 9, 32, 48))
    layers = len(backbone.blocks())
    assert len(scores) == 3 * layers * 2 and all(0 <= value <= 1 for value in scores.values())
    assert all(scores[which, layer, 0.05] <= scores[which, layer, 0.1] for which, layer, _ in scores)


def test_a_matcher_that_knows_finds_everything_the_grid_allows(wan, monkeypatch) -> None:
    """Features that are the truth itself: the figure is that of a perfect match."""
    import torch

    monkeypatch.setattr(matching, "STEPS", 4)
    monkeypatch.setattr(matching, "AT_STEPS", (2,))
    pair = make_pair(wan, SCENE, SCENE, 9, 32, 48)
    grid = wan.tokens(wan.initial_noise(9, 32, 48, 0)).grid
    middles = torch.from_numpy(centres(grid, (32, 48)))
    wanted = torch.from_numpy(np.nan_to_num(pair.truth)).flatten(0, 1)
    turn = iter([True, False])

    def features(*_: object) -> dict:
        """Near points have a large product: 2 a b - |b|^2 as a product of three numbers."""
        target = next(turn)
        key = middles.repeat(grid[0], 1)
        point, place = torch.cat([2 * wanted, torch.ones(len(wanted), 1)], 1), torch.cat([key, -key.square().sum(1, keepdim=True)], 1)
        return {("plain", 0): (point, torch.zeros_like(point)) if target else (torch.zeros_like(place), place)}

    monkeypatch.setattr(matching, "features_of", features)
    scores = pck_of_layers(wan, pair)
    assert scores["plain", 0, 0.1] == pytest.approx(best_possible(pair, grid, 0.1))


def test_curves_are_drawn_from_the_rows(tmp_path) -> None:
    rows = [
        Row(f"tiny: PCK@{alpha}, {name}, layer {layer}", 0.3, 0.1) for alpha in (0.05, 0.1) for name in matching.NAMES for layer in range(3)
    ]
    matching.draw_curves([Row("tiny: PCK@0.05 of a perfect match on this grid", 0.9), *rows], tmp_path)
    assert (tmp_path / "pck-tiny.png").stat().st_size > 1000
