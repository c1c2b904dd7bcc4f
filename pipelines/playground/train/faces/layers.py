"""Convolutions that the detector and the recognisers are made of."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn


class Conv(nn.Sequential):
    """Convolution, batch normalisation and, unless `active` is false, a leaky rectifier; size is kept at stride 1."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, active: bool = True) -> None:
        padding = (kernel - 1) // 2 if kernel % 2 else 0
        layers = [nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), normalise(outputs)]
        super().__init__(*layers, *([nn.LeakyReLU(0.1)] if active else []))


class Residual(nn.Module):
    """x + f(x) with `depth` convolutions of 3 x 3 in f."""

    def __init__(self, width: int, depth: int = 2) -> None:
        super().__init__()
        self.change = nn.Sequential(*(Conv(width, width, active=index < depth - 1) for index in range(depth)))
        nn.init.zeros_(self.change[-1][1].weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.leaky_relu(x + self.change(x), 0.1)


def normalise(width: int) -> nn.BatchNorm2d:
    """Batch normalisation whose count of batches is a float, so that all of its state can be averaged."""
    norm = nn.BatchNorm2d(width)
    norm.num_batches_tracked = norm.num_batches_tracked.float()
    return norm


def begin_with(model: nn.Module, checkpoint: Path) -> None:
    """Take over the averaged weights of an earlier training, as far as `model` has weights of the same name and shape."""
    weights = torch.load(checkpoint, weights_only=True, map_location="cpu")["average"]["weights"]
    own = model.state_dict()
    own.update({name: value for name, value in weights.items() if name in own and own[name].shape == value.shape})
    model.load_state_dict(own)
