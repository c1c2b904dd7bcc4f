"""Cells are enlarged by a filter or by networks as they are published; what cannot be opened is one sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

from pipelines.errors import NotAvailable, UserError
from pipelines.methods.grid import upsample
from pipelines.methods.grid.upsample import NETWORKS, check_upsampler, enlarged, lanczos, upsampled
from pipelines.playground.upsampler import FILE, Upsampler


@pytest.fixture
def frames() -> np.ndarray:
    """(3, 20, 28, 3) uint8, smooth."""
    rows, columns = np.mgrid[:20, :28]
    return np.stack([np.stack([rows * 9, columns * 7, rows + columns + 40 * number], -1) for number in range(3)]).astype(np.uint8)


@pytest.fixture
def swin2sr(tmp_path):
    config = Swin2SRConfig(
        image_size=16, patch_size=1, embed_dim=16, depths=[1], num_heads=[2], window_size=8, upscale=4, upsampler="pixelshuffledirect"
    )
    Swin2SRForImageSuperResolution(config).save_pretrained(tmp_path / "swin2sr")
    return tmp_path / "swin2sr"


def test_a_published_network_enlarges_by_its_own_factor(frames, swin2sr, monkeypatch) -> None:
    made = enlarged(frames, swin2sr)
    assert made.shape == (3, 80, 112, 3) and made.dtype == np.uint8
    monkeypatch.setattr(upsample, "PIXELS", 1)  # frame by frame
    assert np.abs(enlarged(frames, swin2sr).astype(int) - made).max() <= 1


def test_an_untrained_network_of_ours_is_bicubic(frames, tmp_path) -> None:
    save_file({name: value.bfloat16() for name, value in Upsampler().state_dict().items()}, tmp_path / FILE)
    made = enlarged(frames, tmp_path)
    assert made.shape == (3, 40, 56, 3)
    assert np.abs(made.astype(int) - lanczos(frames, 40, 56)).mean() < 4


def test_the_one_that_comes_along_brings_the_size_that_is_wanted(frames) -> None:
    assert upsampled(frames, 2, "playground-upsampler").shape == (3, 40, 56, 3)
    assert upsampled(frames, 3, "playground-upsampler").shape == (3, 60, 84, 3)
    assert upsampled(frames, 1, "playground-upsampler") is frames


def test_what_is_missing_or_broken_is_said(frames, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path))
    check_upsampler("lanczos")
    for name in ("swin2sr-x2", "swin2sr-x4-real"):
        with pytest.raises(NotAvailable, match="is not on this machine: download caidas/"):
            check_upsampler(name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / FILE).write_bytes(b"\x00" * 40)
    (tmp_path / "other").mkdir()
    save_file({"weight": torch.zeros(3)}, tmp_path / "other" / FILE)
    for folder in ("empty", "torn", "other"):
        with pytest.raises(UserError, match="holds no upsampler that can be read"):
            enlarged(frames, tmp_path / folder)


def test_names_are_those_of_requests() -> None:
    from pipelines.methods.grid.request import GridRequest

    assert set(GridRequest.model_fields["upsampler"].annotation.__args__) == {"lanczos", *(entry.name for entry in NETWORKS)}
