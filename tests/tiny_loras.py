"""LoRAs with an effect for the tiny models, written by the program itself."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig

from pipelines.backbones.adapters import lora, lora_weights, save_lora, trainable


def write_lora(backbone, file: Path, config: LoraConfig | None = None, seed: int = 0) -> Path:
    """Write random weights for the layers that `config` targets (rank 3 and alpha 6 on keys, values and outputs); returns `file`."""
    config = config or LoraConfig(r=3, lora_alpha=6, target_modules=["to_k", "to_v", "to_out.0"])
    torch.manual_seed(seed)
    with lora(backbone, config):
        for parameter in trainable(backbone):
            torch.nn.init.normal_(parameter, std=0.3)
        save_lora(backbone, file, config, lora_weights(backbone))
    return file


def predict(backbone) -> torch.Tensor:
    """One prediction, always from the same noise and prompt."""
    latents, text = backbone.initial_noise(5, 32, 32, 0), backbone.encode_text(["a red ball"])
    with torch.no_grad():
        return backbone.denoise(latents, torch.tensor(500), text)
