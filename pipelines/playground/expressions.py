"""A network that names the expression of a face: small, and shown nothing but the face."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from pipelines.playground.looking import Again, convolution

FILE = "expressions.safetensors"
"""Name of its weights; their metadata say which expressions it names."""

SIDE = 56
"""Height and width in pixels of what it is shown: a crop as recognisers have it, see `faces.align.arcface_crop`."""


class ExpressionNet(nn.Module):
    """A quarter of a million parameters; crops (B, 3, SIDE, SIDE) in -1..1 -> logits (B, N) of as many expressions."""

    def __init__(self, count: int) -> None:
        super().__init__()
        widths = ((3, 24, 2), (24, 48, 2), (48, 96, 2))
        self.blocks = nn.Sequential(*(part for i, o, s in widths for part in (convolution(i, o, s), Again(o))))
        self.tell = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(96 * (SIDE // 8) ** 2, count))

    def forward(self, crops: Tensor) -> Tensor:
        return self.tell(F.relu(self.blocks(crops)))
