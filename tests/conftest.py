"""Fixtures for all tests: tiny models of all families, as folders and loaded."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

import pipelines  # noqa: F401  settles how threads wait, before torch is imported

TESTS = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With workers (-n), a file stays together for what it shares, and so do all that look at the studio in the browser."""
    for item in items:
        path = item.path.relative_to(TESTS)
        item.add_marker(pytest.mark.xdist_group("browser" if path.parts[0] == "browser" else str(path)))


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


@pytest.fixture(scope="session")
def tiny_ltx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for LTX-Video (its pipeline wants multiples of 32 px)."""
    from tiny_models import save, tiny_ltx

    return save(tiny_ltx(), tmp_path_factory.mktemp("models") / "tiny-ltx")


@pytest.fixture(scope="session")
def tiny_animatediff_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for AnimateDiff, a UNet (multiples of 8 px, 1 to 16 frames)."""
    from tiny_models import save, tiny_animatediff

    return save(tiny_animatediff(), tmp_path_factory.mktemp("models") / "tiny-animatediff")


@pytest.fixture(scope="session")
def loaded(tiny_wan_folder: Path, tiny_cogvideox_folder: Path, tiny_ltx_folder: Path, tiny_animatediff_folder: Path) -> dict[str, object]:
    """All backbones, loaded once; tests get copies."""
    from pipelines.backbones import loader

    folders = {"wan": tiny_wan_folder, "cogvideox": tiny_cogvideox_folder, "ltx": tiny_ltx_folder, "animatediff": tiny_animatediff_folder}
    return {family: loader(family)(folder, "cpu", "cpu") for family, folder in folders.items()}


@pytest.fixture
def one_thread():
    """Tiny tensors are quickest on one thread: several only wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def wan(loaded, one_thread):
    """A tiny Wan backbone of the test's own."""
    return copy.deepcopy(loaded["wan"])


@pytest.fixture
def cogvideox(loaded, one_thread):
    """A tiny CogVideoX backbone of the test's own."""
    return copy.deepcopy(loaded["cogvideox"])


@pytest.fixture
def ltx(loaded, one_thread):
    """A tiny LTX backbone of the test's own."""
    return copy.deepcopy(loaded["ltx"])


@pytest.fixture
def animatediff(loaded, one_thread):
    """A tiny AnimateDiff backbone of the test's own."""
    return copy.deepcopy(loaded["animatediff"])


@pytest.fixture(params=["wan", "cogvideox", "ltx"])
def backbone(request: pytest.FixtureRequest):
    """Each family in turn."""
    return request.getfixturevalue(request.param)
