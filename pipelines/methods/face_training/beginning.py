"""How an adapter begins without the image-domain checkpoint that the paper begins with.

Three things keep one from learning, and three cures leave the first step the untouched base's, for values stay zero:
- Keys of zero, the usual beginning, show every query the same mean of all tokens until values have grown. Keys of the reference
  begin as the base's own keys, which were made for features like these; keys of the identity, for whose tokens there are none,
  as random ones.
- A resampler as torch makes it says nearly the same of everybody: an embedding of unit length is small beside the biases, and one
  token beside 16 latents that attend to each other. Of the tokens' energy 3 % differs from person to person, and values learn what
  the rest has in common (paper, section 3.2.2: "no facial resemblance"). Weights of unit deviation and no bias where the embedding
  comes in, and a louder norm where it is attended to, make that 67 %.
- Squared error hardly asks who somebody is: see `latent_faces`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from pipelines.methods.face_identity.card import Card
from pipelines.methods.face_identity.modules import HEAD, FaceAdapter, Resampler, ResamplerSizes, sizes_for

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


def fresh_adapter(backbone: Backbone, card: Card, *, depth: int = 2, warm: bool = True, seed: int = 0) -> FaceAdapter:
    """A full adapter for `backbone` that changes nothing yet, its resampler about as wide as the model.

    Args:
        depth: layers of the resampler; the paper's has 4 for a model of 40 blocks.
        warm: with the cures above; False: as the paper has it.
    """
    width = backbone.blocks()[0].width("output")
    heads = max(1, width // HEAD)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        adapter = FaceAdapter(sizes_for(backbone, ResamplerSizes(width=heads * HEAD, depth=depth, heads=heads, output=width)), card)
        if warm:
            warm_keys(adapter, backbone)
            warm_resampler(adapter.resampler)
    return adapter


@torch.no_grad()
def warm_keys(adapter: FaceAdapter, backbone: Backbone) -> None:
    """Let attention know where to look; see above."""
    for block, layer in zip(backbone.blocks(), adapter.ref_layers, strict=False):
        layer.to_k_ref.load_state_dict(block.attention.to_k.state_dict())
    for layer in adapter.ip_layers:
        nn.init.normal_(layer.to_k_ip.weight, std=layer.to_k_ip.in_features**-0.5)


@torch.no_grad()
def warm_resampler(resampler: Resampler) -> None:
    """Let tokens differ from person to person; see above. The norm is as loud as the latents are many: it is one token beside them."""
    nn.init.normal_(resampler.proj_in.weight)
    nn.init.zeros_(resampler.proj_in.bias)
    for attention, _ in resampler.layers:
        nn.init.constant_(attention.norm1.weight, (1 + resampler.latents.shape[1]) ** 0.5)
