"""What generated video does to pictures, done to rendered ones: zoom, blur, lost detail, block artefacts, colour shift, noise.

A judge that has only seen crisp renderings would judge softness instead of content. Everything draws from torch's global
generator, which the training loop seeds per step.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from pipelines.playground.looking import centres


def augment(pictures: torch.Tensor, near: float = 0.5) -> torch.Tensor:
    """(B, C, S, S) float 0..1 -> the same: geometry for all channels, everything else for the first three (RGB); `near`: see `zoom`."""
    moved = zoom(pictures, near)
    colours, masks = moved[:, :3], moved[:, 3:]
    for damage, chance in ((blur, 0.35), (coarsen, 0.3), (quantise, 0.3), (tint, 0.6), (grain, 0.4)):
        chosen = (torch.rand(len(colours)) < chance).nonzero()[:, 0]
        if len(chosen):
            colours = colours.index_copy(0, chosen, damage(colours[chosen]))
    return torch.cat([colours.clamp(0, 1), masks], 1)


def zoom(pictures: torch.Tensor, near: float = 0.5, most: float = 0.12, nearest: float = 0.22) -> torch.Tensor:
    """Each picture seen up to `most` nearer or farther off and moved a little; a share `near` nearer yet, around the front subject.

    At the nearest the subject fills half the view, or the view is `nearest` of the picture. The fourth channel is its mask. Edges
    are continued.
    """
    count = len(pictures)
    scale = 1 + most * (2 * torch.rand(count, 1) - 1)
    shift = most * (2 * torch.rand(count, 2) - 1)
    nearer = torch.rand(count, 1) < near
    full = (2 * pictures[:, 3].mean((1, 2))[:, None].sqrt()).clamp(nearest, 1)
    close = full ** torch.rand(count, 1)
    around = (centres(pictures[:, 3]) + 0.3 * close * (2 * torch.rand(count, 2) - 1)).clamp(close - 1, 1 - close)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = torch.where(nearer, close, scale)[:, 0]
    theta[:, :, 2] = torch.where(nearer, around, shift)
    grid = F.affine_grid(theta, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def blur(colours: torch.Tensor, widest: float = 1.6) -> torch.Tensor:
    """Gaussian blur, each picture with its own deviation of up to `widest` pixels."""
    count, channels, height, width = colours.shape
    reach = torch.arange(-4, 5, dtype=torch.float32)
    sigma = 0.4 + (widest - 0.4) * torch.rand(count, 1)
    kernel = torch.exp(-0.5 * (reach / sigma) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    flat = colours.reshape(1, count * channels, height, width)
    flat = F.conv2d(F.pad(flat, (4, 4, 0, 0), mode="replicate"), kernel[:, None, None, :], groups=count * channels)
    flat = F.conv2d(F.pad(flat, (0, 0, 4, 4), mode="replicate"), kernel[:, None, :, None], groups=count * channels)
    return flat.reshape_as(colours)


def coarsen(colours: torch.Tensor, most: float = 2.4) -> torch.Tensor:
    """All pictures made up to `most` times smaller and large again: what a narrow latent loses."""
    side = round(colours.shape[-1] / (1.2 + (most - 1.2) * torch.rand(()).item()))
    small = F.interpolate(colours, size=(side, side), mode="bilinear", antialias=True)
    return F.interpolate(small, size=colours.shape[-2:], mode="bicubic")


def quantise(colours: torch.Tensor, block: int = 8) -> torch.Tensor:
    """Cosine coefficients of each block rounded, high frequencies more coarsely, as JPEG and block-wise decoders do."""
    count, channels, height, width = colours.shape
    basis = cosines(block)
    blocks = colours.reshape(count, channels, height // block, block, width // block, block).transpose(3, 4)
    frequency = torch.arange(block)
    step = (0.01 + 0.05 * torch.rand(count, 1, 1, 1, 1, 1)) * (1 + frequency + frequency[:, None])
    coefficients = basis @ blocks @ basis.T
    blocks = basis.T @ ((coefficients / step).round() * step) @ basis
    return blocks.transpose(3, 4).reshape_as(colours)


def cosines(size: int) -> torch.Tensor:
    """(size, size) orthonormal basis of the discrete cosine transform (type II), one frequency per row."""
    place = torch.arange(size) + 0.5
    basis = torch.cos(math.pi / size * torch.arange(size)[:, None] * place) * math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    return basis


def tint(colours: torch.Tensor) -> torch.Tensor:
    """Slightly other brightness, contrast and white point: too little to turn one named colour into another."""
    count = len(colours)
    gain = 1 + 0.12 * (2 * torch.rand(count, 1, 1, 1) - 1) + 0.04 * (2 * torch.rand(count, 3, 1, 1) - 1)
    offset = 0.04 * (2 * torch.rand(count, 1, 1, 1) - 1)
    return (colours - 0.5) * gain + 0.5 + offset


def grain(colours: torch.Tensor, strongest: float = 0.05) -> torch.Tensor:
    """Gaussian noise with a deviation of up to `strongest`."""
    return colours + strongest * torch.rand(len(colours), 1, 1, 1) * torch.randn_like(colours)
