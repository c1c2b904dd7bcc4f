"""The flow of queries: known movements are found, key frames are made of themselves, weights are the printed ones."""

from __future__ import annotations

import pytest
import torch

from pipelines.attention.flowing import flow_of, key_frames

GRID = (5, 3, 4)
SIDE = GRID[1] * GRID[2]


def moving(seed: int = 0) -> torch.Tensor:
    """(1, N, C) features of one picture that turns by a token per frame."""
    picture = torch.randn(SIDE, 8, generator=torch.Generator().manual_seed(seed))
    return torch.cat([picture.roll(frame, 0) for frame in range(GRID[0])])[None]


def test_key_frames_hold_the_last_one() -> None:
    assert key_frames(5, 2) == [0, 2, 4]
    assert key_frames(6, 2) == [0, 2, 4, 5]
    assert key_frames(1, 3) == [0]


def test_a_known_movement_is_found() -> None:
    flow = flow_of(moving(), GRID)
    here = torch.arange(SIDE)
    assert torch.equal(flow.index[0, 0, SIDE : 2 * SIDE], (here - 1) % SIDE)  # frame 1 from key frame 0
    assert torch.equal(flow.index[0, 1, SIDE : 2 * SIDE], (here + 1) % SIDE + 2 * SIDE)  # and from key frame 2


def test_carried_along_its_own_flow_the_clip_is_itself() -> None:
    features = moving()
    flow = flow_of(features, GRID)
    made = sum(features[0, flow.index[0, source]] * flow.weight[source][:, None] for source in (0, 1))
    assert torch.allclose(made, features[0], atol=1e-5)


@pytest.mark.parametrize(("weight", "first"), [("linear", 2 / 3), ("sigmoid", 1 / (1 + 2.718281828 ** (-2 / 3)))])
def test_weights_are_those_of_equation_4(weight, first) -> None:
    flow = flow_of(moving(), (5, 3, 4), every=3, weight=weight)  # key frames 0, 3, 4
    assert flow.weight[0, SIDE] == pytest.approx(first, abs=1e-6)
    assert torch.allclose(flow.weight.sum(0), torch.ones(5 * SIDE))
    assert (flow.weight[0, 3 * SIDE : 4 * SIDE] == 1).all()
