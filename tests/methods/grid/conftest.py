"""Adapters for the tiny Wan, written by the program itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipelines.backbones.adapters import lora, lora_weights, trainable
from pipelines.methods.grid.card import Card
from pipelines.methods.grid.names import FILES, TARGETS
from pipelines.methods.grid.weights import ordinary
from pipelines.methods.zero_shot_subject.weights import save_adapter


@pytest.fixture(scope="session")
def write_fill(loaded):
    """(folder, kind, card settings) -> the folder with an adapter that changes a lot."""

    def write(folder: Path, kind: str = "fill", **card) -> Path:
        backbone = loaded["wan"]
        config = ordinary(backbone, 2, TARGETS)
        torch.manual_seed(0)
        with lora(backbone, config):
            for parameter in trainable(backbone):
                torch.nn.init.normal_(parameter, std=0.2)
            save_adapter(folder / FILES[kind], config, lora_weights(backbone), Card(kind=kind, base="tiny", **card))
        return folder

    return write


@pytest.fixture(scope="session")
def fill_folder(write_fill, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Grid-Fill adapter. Do not write into it."""
    return write_fill(tmp_path_factory.mktemp("grid-adapters"))
