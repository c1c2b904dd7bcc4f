"""What an adapter is told of a face, and what it is told instead of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipelines.methods.face_identity.reference import features_of, grey

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone
    from pipelines.methods.face_identity.modules import FaceAdapter


@dataclass(frozen=True)
class Condition:
    """One face, or none.

    Attributes:
        tokens: (1, Q, D) ID tokens; None: the ID-adapter is not used.
        features: per block (1, M, C) features of the reference; None: the Ref-adapter is not used.
    """

    tokens: Tensor | None = None
    features: tuple[Tensor, ...] | None = None


@dataclass(frozen=True)
class Conditions:
    """Both sides of a guidance by identity."""

    without: Condition
    given: Condition


@torch.no_grad()
def conditions_of(backbone: Backbone, adapter: FaceAdapter, embedding: np.ndarray | None, crop: np.ndarray | None) -> Conditions:
    """A face and its absence, which is the resampler's answer to zeros and a grey picture (section 3.1).

    Make it once per generation, before a LoRA of the user's is put on: the untouched base looks at the reference.

    Args:
        embedding: (E,) of unit length, by the recogniser of the adapter's card; None: without ID-adapter.
        crop: (S, S, 3) uint8 RGB, the aligned face, S as on the card; None: without Ref-adapter.
    Raises ValueError for arrays of other shapes.
    """
    tokens: list[Tensor | None] = [None, None]
    features: list[tuple[Tensor, ...] | None] = [None, None]
    if embedding is not None and adapter.resampler is not None:
        tokens = [*_tokens(adapter, embedding).split(1)]
    if crop is not None and len(adapter.ref_layers):
        side = adapter.card.crop
        if crop.shape != (side, side, 3):
            raise ValueError(f"the reference is {crop.shape} where the adapter wants {(side, side, 3)}")
        features = [*features_of(backbone, [grey(side), crop])]
    without, given = (Condition(*parts) for parts in zip(tokens, features, strict=True))
    return Conditions(without, given)


def _tokens(adapter: FaceAdapter, embedding: np.ndarray) -> Tensor:
    """(2, Q, D): of nobody, and of the face."""
    latents, channels = adapter.resampler.latents, adapter.resampler.proj_in.in_features
    if embedding.shape != (channels,):
        raise ValueError(f"the embedding is {embedding.shape} where the adapter wants {(channels,)}")
    face = torch.from_numpy(np.array(embedding)).to(latents.device, latents.dtype)
    return adapter.resampler(torch.stack([torch.zeros_like(face), face]))
