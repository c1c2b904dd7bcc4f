"""Two recognisers of different architecture: aligned crops (B, 3, 112, 112), normalised, become embeddings (B, 512)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from pipelines.playground.train.faces.layers import Conv, Residual, normalise

EMBEDDING = 512
"""What insightface's recognisers give, and what is conditioned on."""

CROP = 112
"""Side of an aligned crop in pixels."""


class Convolutional(nn.Module):
    """Residual convolutions down to 7 x 7 places, then a weight of its own for each place (as in Chen et al. 2018, MobileFaceNets)."""

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 112)) -> None:
        super().__init__()
        a, b, c = widths
        self.blocks = nn.Sequential(
            Conv(3, a, 4, 4), Conv(a, b, stride=2), Residual(b, 1), Conv(b, c, stride=2), Residual(c), Residual(c, 1)
        )
        self.pool = nn.Sequential(nn.Conv2d(c, c, CROP // 16, groups=c, bias=False), normalise(c), nn.Flatten())
        self.embed = nn.Linear(c, EMBEDDING)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        return self.embed(self.pool(self.blocks(crops)))


class Tokens(nn.Module):
    """Convolutions down to 7 x 7 tokens, then transformer layers, read by a learned query."""

    def __init__(self, width: int = 112, layers: int = 3, heads: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(Conv(3, 24, 4, 4), Conv(24, 48, stride=2), Conv(48, width, stride=2, active=False))
        self.place = nn.Parameter(0.1 * waves(CROP // 16, width))
        self.blocks = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, heads)
        self.embed = nn.Linear(heads * width, EMBEDDING)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        x = self.stem(crops).flatten(2).transpose(1, 2) + self.place  # (B, N, W)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.embed((self.query(x).softmax(1).transpose(1, 2) @ x).flatten(1))


class Layer(nn.Module):
    """Self-attention and a two-layer network, each on the normalised sum before (B, N, W)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_change = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.change = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(approximate="tanh"), nn.Linear(3 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        split = self.query_key_value(self.before_attention(x)).unflatten(2, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)  # (B, heads, N, d) each
        x = x + self.out(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))
        return x + self.change(self.before_change(x))


def waves(side: int, width: int) -> torch.Tensor:
    """(side * side, width) sines and cosines of row and column."""
    frequency = math.pi * torch.exp(-math.log(2.0 * side) * torch.arange(width // 4) / (width // 4))
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angles = torch.cat([row.reshape(-1, 1) * frequency, column.reshape(-1, 1) * frequency], 1)
    return torch.cat([angles.sin(), angles.cos()], 1)
