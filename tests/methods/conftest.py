"""Fixtures for requests that are run end to end on tiny models."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.backbones import open_store
from pipelines.models.store import ModelStore


@pytest.fixture(params=["tiny_wan_folder", "tiny_cogvideox_folder"])
def folder(request: pytest.FixtureRequest) -> Path:
    """The folder of a tiny model, of both families in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def store(tmp_path: Path, one_thread: None) -> ModelStore:
    """A store with nothing downloaded."""
    return open_store(tmp_path / "home", "cpu")
