"""A reference picture as the base model sees it: the input of each block's self-attention (Lynx, section 3.1, Ref-adapter)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from pipelines.attention.stopping import forward_until
from pipelines.backbones.layout import AttentionBlock

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

PROMPT = "image of a face"

GREY = 127.5
"""Half of 255, which is zero to the VAE and lies between two whole numbers."""


def grey(side: int) -> np.ndarray:
    """(S, S, 3) float32: the picture that stands for no reference."""
    return np.full((side, side, 3), GREY, np.float32)


@torch.no_grad()
def features_of(backbone: Backbone, pictures: Sequence[np.ndarray]) -> list[tuple[Tensor, ...]]:
    """Per picture, what each block's self-attention is given at noise level 0 and with PROMPT: (1, M, C), M tokens of one frame.

    That is the norm of the block's input, modulated. The latent is the mean of the VAE's posterior, as the verbs of a backbone
    have it, where the published code draws from it: the same picture gives the same features for every seed.

    Args:
        pictures: (S, S, 3) RGB 0..255, all of one size.
    """
    latents = torch.cat([backbone.encode_video(picture[None]) for picture in pictures])
    text = backbone.encode_text([PROMPT] * len(pictures))
    blocks = backbone.blocks()
    forward = partial(backbone.denoise, latents, torch.tensor(0, device=backbone.device), text)
    with without_loras(backbone.transformer), recording_inputs(blocks) as inputs:
        forward_until(blocks[-1], forward)
    return [tuple(inputs[block.index][row : row + 1] for block in blocks) for row in range(len(pictures))]


@contextmanager
def recording_inputs(blocks: Sequence[AttentionBlock]) -> Iterator[dict[int, Tensor]]:
    """Within, copies of what each layer was last given, (rows, N, C) by its number."""
    inputs: dict[int, Tensor] = {}

    def keep(index: int, module: nn.Module, given: tuple[Any, ...]) -> None:
        inputs[index] = given[0].detach().clone()

    with ExitStack() as stack:
        for block in blocks:
            stack.callback(block.attention.register_forward_pre_hook(partial(keep, block.index)).remove)
        yield inputs


@contextmanager
def without_loras(transformer: nn.Module) -> Iterator[None]:
    """Within, LoRAs that are on the model add nothing. What was fused into a layer cannot be told from it."""
    kept = [(layer, dict(layer.scaling)) for layer in transformer.modules() if isinstance(layer, LoraLayer)]
    try:
        for layer, scaling in kept:
            layer.scaling.update(dict.fromkeys(scaling, 0.0))
        yield
    finally:
        for layer, scaling in kept:
            layer.scaling.update(scaling)
