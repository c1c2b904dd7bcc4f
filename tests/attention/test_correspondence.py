"""Correspondences: a known rearrangement is found again, in pieces as in one, and warping undoes it."""

from __future__ import annotations

import pytest
import torch

from pipelines.attention.correspondence import Matches, cycle_error, cycle_mask, flow, inject, match, positions, warp

GRID = (3, 4, 5)
SIDE = GRID[1] * GRID[2]


@pytest.fixture
def features() -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(GRID[0] * SIDE, 64, generator=torch.Generator().manual_seed(0)), dim=-1)


@pytest.fixture
def orders() -> torch.Tensor:
    """(T', h * w): token n of frame f shows what reference token orders[f, n] shows."""
    generator = torch.Generator().manual_seed(1)
    return torch.stack([torch.randperm(SIDE, generator=generator) for _ in range(GRID[0])])


def rearranged(features: torch.Tensor, orders: torch.Tensor) -> torch.Tensor:
    frames = features.unflatten(0, (GRID[0], SIDE))
    return torch.stack([frame[order] for frame, order in zip(frames, orders, strict=True)]).flatten(0, 1)


def test_a_clip_corresponds_to_itself(features: torch.Tensor) -> None:
    matches = match(features, features, features, features, GRID)
    assert (matches.to_reference == torch.arange(SIDE)).all() and (matches.to_generated == torch.arange(SIDE)).all()
    assert not flow(matches.to_reference, GRID).any() and not cycle_error(matches).any()
    values = torch.randn(2, GRID[0] * SIDE, 8)
    assert torch.equal(warp(values, matches), values)


@pytest.mark.parametrize("chunk", [7, 4096])
def test_a_known_permutation_is_found(features: torch.Tensor, orders: torch.Tensor, chunk: int) -> None:
    moved = rearranged(features, orders)
    matches = match(moved, moved, features, features, GRID, chunk)
    assert torch.equal(matches.to_reference, orders)
    assert torch.equal(matches.to_generated, orders.argsort(1))
    assert torch.equal(warp(features, matches), moved)
    assert not cycle_error(matches).any()


def test_pieces_give_what_the_whole_gives() -> None:
    drawn = torch.randn(4, GRID[0] * SIDE, 16, generator=torch.Generator().manual_seed(2))
    whole, pieces = match(*drawn, GRID), match(*drawn, GRID, chunk=3)
    assert torch.equal(whole.to_reference, pieces.to_reference) and torch.equal(whole.to_generated, pieces.to_generated)
    assert torch.allclose(whole.score, pieces.score, atol=1e-5)


def test_the_correlation_is_symmetric() -> None:
    """Exchanging the two clips exchanges the two directions."""
    drawn = torch.randn(4, GRID[0] * SIDE, 16, generator=torch.Generator().manual_seed(3))
    there, back = match(*drawn, GRID), match(*drawn[[2, 3, 0, 1]], GRID)
    assert torch.equal(there.to_reference, back.to_generated) and torch.equal(there.to_generated, back.to_reference)


def test_one_reference_frame_serves_all(features: torch.Tensor) -> None:
    still = features[:SIDE]
    repeated = still.repeat(GRID[0], 1)
    one, many = match(features, features, still, still, GRID), match(features, features, repeated, repeated, GRID)
    assert torch.equal(one.to_reference, many.to_reference)
    assert torch.equal(warp(still, one), warp(repeated, many))


def test_features_of_another_grid_are_refused(features: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="grid"):
        match(features, features, features[: SIDE - 1], features[: SIDE - 1], GRID)


def test_flows_point_from_a_token_to_its_partner() -> None:
    partners = torch.zeros(GRID[0], SIDE, dtype=torch.int64)
    partners[:] = SIDE - 1  # the last column of the last row
    displacement = flow(partners, GRID)
    assert displacement[0, 0, 0].tolist() == [GRID[2] - 1, GRID[1] - 1]
    assert displacement[0, -1, -1].tolist() == [0, 0]
    assert positions(GRID)[1].tolist() == [1, 0]


def test_the_threshold_of_the_cycle_grows_with_the_foreground() -> None:
    error = torch.full((2, 4, 10), 0.5)
    foreground = torch.zeros(2, 4, 10, dtype=torch.bool)
    foreground[0, :2], foreground[1] = True, True  # half of the first frame, all of the second: thresholds 0.5 and 1
    assert cycle_mask(error, foreground).all()
    assert not cycle_mask(error + 0.1, foreground)[0].any() and cycle_mask(error + 0.1, foreground)[1].all()
    assert not cycle_mask(error, torch.zeros_like(foreground)).any()


def test_a_round_trip_that_ends_elsewhere_has_that_distance() -> None:
    to_reference, to_generated = torch.zeros(1, SIDE, dtype=torch.int64), torch.full((1, SIDE), SIDE - 1)
    error = cycle_error(Matches((1, *GRID[1:]), to_reference, to_generated, torch.zeros(1, SIDE)))
    assert error[0, 0, 0].item() == pytest.approx((3**2 + 4**2) ** 0.5) and error[0, -1, -1] == 0


def test_injection_is_bit_for_bit_within_the_mask_and_outside() -> None:
    values, other = torch.randn(2, 2, GRID[0] * SIDE, 4)
    mask = torch.zeros(GRID, dtype=torch.bool)
    mask[1] = True
    mixed = inject(values, other, mask)
    assert torch.equal(mixed[:, SIDE : 2 * SIDE], other[:, SIDE : 2 * SIDE])
    assert torch.equal(mixed[:, :SIDE], values[:, :SIDE]) and torch.equal(inject(values, other, mask & False), values)
