"""Fixtures of the attention tests."""

from __future__ import annotations

import pytest
from forward_pass import Pass, make_pass


@pytest.fixture(params=["wan", "cogvideox", "ltx", "animatediff"])
def backbone(request: pytest.FixtureRequest):
    """Each family in turn, also the one whose layers differ in their grid."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def forward(backbone) -> Pass:
    """A guided pass of each family in turn: two rows, the conditional one last."""
    return make_pass(backbone)
