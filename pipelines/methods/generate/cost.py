"""Arithmetic of a generation: operations, seconds, memory. Counts come from the model's own configuration. No torch here."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipelines.errors import UserError
from pipelines.models.folders import parameters
from pipelines.models.registry import ModelEntry
from pipelines.requests import VideoRequest

CARD_SPEED = 1e14  # operations per second of a current card in bfloat16, as reached in attention and linear layers
CORE_SPEED = 2e10  # of one processor core in float32
DECODER_WORK = 1100.0  # operations of the decoder per pixel of a clip, per squared base width
RUNTIME_BYTES = 600_000_000  # the libraries themselves

OTHER_WEIGHTS = {"wan": 5.8e9, "cogvideox": 5.0e9, "ltx": 5.2e9}
"""Text encoder and video autoencoder of the published models, per family."""

_measured: dict[tuple[str, bool], float] = {}
"""Operations per second as measured in this process: (model, on a card) -> speed."""


@dataclass(frozen=True)
class Shape:
    """What decides the work of a model.

    Attributes:
        token: pixels of a side that one token covers.
        depth_width: layers times channels of the transformer.
        base: base width of the video decoder.
    """

    token: int
    depth_width: float
    base: int


def shape_of(entry: ModelEntry) -> Shape:
    """Read off the model's folder where it lies at a known place; else from the entry.

    Without a folder: one token covers the side's step, and depth * width is 0.037 N^(2/3) for N weights, which fits
    Wan2.1 and CogVideoX within a tenth.
    """
    return _read_shape(entry.folder) or Shape(entry.size_multiple, 0.037 * entry.parameters ** (2 / 3), 96)


def operations(request: VideoRequest, entry: ModelEntry, shape: Shape) -> tuple[float, float]:
    """(denoising, decoding): 2 N per token for the weights and 4 tokens^2 per channel and layer for attention, per forward."""
    count = tokens(request, entry, shape)
    forward = 2 * entry.parameters * count + 4 * count**2 * shape.depth_width
    halves = 2 if request.guidance > 1 else 1
    pixels = request.width * request.height * request.frames
    return forward * halves * request.steps, DECODER_WORK * shape.base**2 * pixels


def seconds(request: VideoRequest, entry: ModelEntry, shape: Shape) -> float:
    """Time for denoising and decoding."""
    return sum(operations(request, entry, shape)) / speed(entry)


def speed(entry: ModelEntry) -> float:
    """Operations per second as measured for this model, else typical ones."""
    card = has_card()
    typical = CARD_SPEED if card else CORE_SPEED * (os.cpu_count() or 1)
    return _measured.get((entry.name, card), typical)


def learn_speed(request: VideoRequest, entry: ModelEntry, taken: float, card: bool) -> None:
    """Remember how long `request` took (denoising and decoding, seconds), for later estimates in this process."""
    _measured[entry.name, card] = sum(operations(request, entry, shape_of(entry))) / max(taken, 1e-3)


def memory(request: VideoRequest, entry: ModelEntry, shape: Shape) -> int:
    """Peak bytes: all weights (bfloat16 on a card, else float32), activations of one block, and the decoder's widest layer."""
    weights = _weights(entry) * (2 if has_card() else 4)
    decoder = request.width * request.height * min(request.frames, 8) * shape.base * 4 * 4
    return int(RUNTIME_BYTES + weights + max(activations(request, entry, shape), decoder))


def activations(request: VideoRequest, entry: ModelEntry, shape: Shape) -> int:
    """Bytes of one block's activations."""
    count = tokens(request, entry, shape) * (2 if request.guidance > 1 else 1)
    width = shape.depth_width**0.5 * 8  # roughly: real widths are 40 to 70 times the depth
    return int(count * width * 4 * 12)


def has_card() -> bool:
    """Whether the machine has a graphics card that could be used."""
    try:
        return any(Path("/proc/driver/nvidia/gpus").iterdir())
    except OSError:
        return False


def tokens(request: VideoRequest, entry: ModelEntry, shape: Shape) -> int:
    """Of the clip, without text."""
    frames = (request.frames - 1) // entry.frame_step + 1
    return frames * (request.width // shape.token) * (request.height // shape.token)


@lru_cache(maxsize=32)
def _weights(entry: ModelEntry) -> float:
    """Weights of all parts: counted in the model's folder, else the denoiser's and what its family brings along."""
    try:
        return parameters(entry.folder) if entry.folder else entry.parameters + OTHER_WEIGHTS[entry.family]
    except UserError:  # a damaged folder is reported when it is loaded
        return entry.bytes / 2


@lru_cache(maxsize=32)
def _read_shape(folder: Path | None) -> Shape | None:
    """From transformer/config.json and vae/config.json; None if they are not there or not understood."""
    if folder is None:
        return None
    try:
        transformer, vae = (json.loads((folder / part / "config.json").read_text()) for part in ("transformer", "vae"))
        width = transformer["num_attention_heads"] * transformer["attention_head_dim"]
        patch = transformer["patch_size"]
        return Shape(_scale(vae) * (patch if isinstance(patch, int) else patch[-1]), transformer["num_layers"] * width, _base(vae))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _scale(vae: dict[str, Any]) -> int:
    """Pixels of a side per latent."""
    levels = vae.get("dim_mult") or vae["block_out_channels"]
    return 2 ** (len(levels) - 1) * (vae.get("patch_size") or 1)


def _base(vae: dict[str, Any]) -> int:
    """Channels at full size."""
    return vae.get("base_dim") or vae["block_out_channels"][0]
