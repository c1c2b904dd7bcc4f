"""Small diffusers-shaped folders with real safetensors files, for everything that never looks inside the weights."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save

PARTS = {
    "transformer": ["diffusers", "WanTransformer3DModel"],
    "vae": ["diffusers", "AutoencoderKLWan"],
    "tokenizer": ["transformers", "T5TokenizerFast"],
}


def model_files(weights: int = 1000, pipeline: str = "WanPipeline") -> dict[str, bytes]:
    """Path -> bytes of a tiny repository whose transformer holds `weights` float32 numbers."""
    index = {"_class_name": pipeline, "_diffusers_version": "0.35", **PARTS}
    numbers = np.random.default_rng(weights).standard_normal(weights).astype("float32")
    return {
        "model_index.json": json.dumps(index).encode(),
        "transformer/config.json": b'{"_class_name": "WanTransformer3DModel"}',
        "transformer/diffusion_pytorch_model.safetensors": save({"weight": numbers}),
        "vae/config.json": b"{}",
        "vae/diffusion_pytorch_model.safetensors": save({"weight": np.zeros((2, 3), "float32")}),
        "tokenizer/tokenizer_config.json": b"{}",
        "tokenizer/spiece.model": b"pieces",
    }


def write_model(folder: Path, weights: int = 1000, pipeline: str = "WanPipeline") -> Path:
    """The same as a folder."""
    for name, data in model_files(weights, pipeline).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder
