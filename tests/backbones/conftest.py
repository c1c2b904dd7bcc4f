"""Fixtures of the backbones' tests."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["wan", "cogvideox", "ltx", "animatediff"])
def backbone(request: pytest.FixtureRequest):
    """Each family in turn, also the one without adapters."""
    return request.getfixturevalue(request.param)
