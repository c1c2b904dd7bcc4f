"""A light convolutional network that gives pictures twice their size."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

FILE = "upsampler.safetensors"
FACTOR = 2


class Upsampler(nn.Module):
    """Pictures (B, 3, h, w) 0..1 -> (B, 3, 2 h, 2 w): bicubic, plus what convolutions at the small size add (Shi et al. 2016, ESPCN)."""

    def __init__(self, width: int = 32, depth: int = 4) -> None:
        super().__init__()
        inner = [part for _ in range(depth) for part in (nn.Conv2d(width, width, 3, padding=1), nn.SiLU())]
        self.blocks = nn.Sequential(nn.Conv2d(3, width, 5, padding=2), nn.SiLU(), *inner)
        self.out = nn.Conv2d(width, 3 * FACTOR**2, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, pictures: Tensor) -> Tensor:
        larger = F.interpolate(pictures, scale_factor=FACTOR, mode="bicubic", align_corners=False)
        return larger + F.pixel_shuffle(self.out(self.blocks(pictures * 2 - 1)), FACTOR)
