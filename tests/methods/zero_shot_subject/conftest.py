"""Adapters for the tiny CogVideoX, written by the program itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipelines.backbones.adapters import lora, lora_weights, trainable
from pipelines.methods.zero_shot_subject.card import Card
from pipelines.methods.zero_shot_subject.weights import lora_config, save_adapter


@pytest.fixture(scope="session")
def write_adapter(loaded):
    """(file, rank, seed) -> the file, an adapter that changes a lot."""

    def write(file: Path, rank: int = 4, seed: int = 0) -> Path:
        backbone, config = loaded["cogvideox"], lora_config(rank)
        torch.manual_seed(seed)
        with lora(backbone, config):
            for parameter in trainable(backbone):
                torch.nn.init.normal_(parameter, std=0.3)
            save_adapter(file, config, lora_weights(backbone), Card(base="tiny", recipe={"p": 0.2, "steps": 3}))
        return file

    return write


@pytest.fixture(scope="session")
def adapter_file(write_adapter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of rank 4. Do not write into it."""
    return write_adapter(tmp_path_factory.mktemp("adapters") / "subject.safetensors")
