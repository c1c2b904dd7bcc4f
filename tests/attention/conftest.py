"""Fixtures of the attention tests."""

from __future__ import annotations

import pytest
from forward_pass import Pass, make_pass


@pytest.fixture
def forward(backbone) -> Pass:
    """A guided pass of each family in turn: two rows, the conditional one last."""
    return make_pass(backbone)
