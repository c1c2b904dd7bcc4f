"""Fixtures for all tests: tiny models of both families, as folders and loaded."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_wan_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder of a tiny untrained Wan model (multiples of 16 px, 4k + 1 frames). Do not write into it."""
    from tiny_models import save, tiny_wan

    return save(tiny_wan(), tmp_path_factory.mktemp("models") / "tiny-wan")


@pytest.fixture(scope="session")
def tiny_cogvideox_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for CogVideoX with rotary positions."""
    from tiny_models import save, tiny_cogvideox

    return save(tiny_cogvideox(), tmp_path_factory.mktemp("models") / "tiny-cogvideox")


@pytest.fixture
def wan(tiny_wan_folder: Path):
    """A freshly loaded tiny Wan backbone."""
    from pipelines.backbones.wan import WanBackbone

    return WanBackbone.load(tiny_wan_folder)


@pytest.fixture
def cogvideox(tiny_cogvideox_folder: Path):
    """A freshly loaded tiny CogVideoX backbone."""
    from pipelines.backbones.cogvideox import CogVideoXBackbone

    return CogVideoXBackbone.load(tiny_cogvideox_folder)


@pytest.fixture(params=["wan", "cogvideox"])
def backbone(request: pytest.FixtureRequest):
    """Each family in turn."""
    return request.getfixturevalue(request.param)
