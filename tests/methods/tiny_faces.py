"""Small adapters whose every part shows, and faces for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pipelines.methods.face_identity.card import Card
from pipelines.methods.face_identity.condition import Conditions, conditions_of
from pipelines.methods.face_identity.modules import FaceAdapter, ResamplerSizes, sizes_for

SIDE = 32  # 4 x 4 tokens of a tiny Wan
CHANNELS = 24
QUERIES, REGISTERS = 3, 2


def adapter_for(backbone: Any, arm: str = "full", identity: bool = True, reference: bool = True, alive: bool = True) -> FaceAdapter:
    """An adapter for `backbone`; alive: with weights so large that it cannot be overlooked, else as training finds it."""
    torch.manual_seed(5)
    output = 20 if arm == "lite" else backbone.blocks()[0].width("output")
    resampler = ResamplerSizes(embedding=CHANNELS, width=64, depth=2, heads=1, queries=QUERIES, output=output)
    sizes = sizes_for(backbone, resampler if identity else None, arm, REGISTERS, reference)
    adapter = FaceAdapter(sizes, Card(recogniser="tiny", crop=SIDE, arm=arm, base="tiny-wan"))
    if alive:
        with torch.no_grad():
            for name, parameter in adapter.named_parameters():
                if not name.startswith("resampler"):
                    parameter.normal_(std=1.5 / parameter.shape[-1] ** 0.5)
    return adapter.eval().requires_grad_(False)


def face(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """An embedding of unit length and the picture of a face."""
    draw = np.random.default_rng(seed)
    embedding = draw.normal(size=CHANNELS).astype(np.float32)
    return embedding / np.linalg.norm(embedding), draw.integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def conditions(backbone: Any, adapter: FaceAdapter, seed: int = 1) -> Conditions:
    """Nobody, and that face."""
    return conditions_of(backbone, adapter, *face(seed))


# --- names and shapes of the released weights ------------------------------------------------------------------------

ATTENTION = {"norm1.weight": (1280,), "norm1.bias": (1280,), "norm2.weight": (1280,), "norm2.bias": (1280,)} | {
    "to_q.weight": (1280, 1280), "to_kv.weight": (2560, 1280), "to_out.weight": (1280, 1280),
}  # fmt: skip
FEED_FORWARD = {"0.weight": (1280,), "0.bias": (1280,), "1.weight": (5120, 1280), "3.weight": (1280, 5120)}


def released_resampler(output: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published resampler with tokens of so many channels."""
    names = {"latents": (1, 16, 1280), "proj_in.weight": (1280, 512), "proj_in.bias": (1280,)}
    names |= {"proj_out.weight": (output, 1280), "proj_out.bias": (output,), "norm_out.weight": (output,), "norm_out.bias": (output,)}
    for layer in range(4):
        names |= {f"layers.{layer}.0.{name}": shape for name, shape in ATTENTION.items()}
        names |= {f"layers.{layer}.1.{name}": shape for name, shape in FEED_FORWARD.items()}
    return names


def pair(block: int, ending: str, shape: tuple[int, int], bias: bool = True) -> dict[str, tuple[int, ...]]:
    """Names and shapes of one entry's keys and values; ending: "ip" or "ref"."""
    kinds = {"weight": shape} | ({"bias": shape[:1]} if bias else {})
    return {f"{block}.to_{letter}_{ending}.{kind}": size for letter in "kv" for kind, size in kinds.items()}
