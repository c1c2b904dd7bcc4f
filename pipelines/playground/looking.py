"""How the judge names what a picture shows: it finds the subject, looks again at it from near, and tells its attributes.

A network that is shown small subjects on busy grounds learns outlines late; one that is led to them learns them early.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 96
"""Height and width in pixels of what it is shown."""

MASK = SIDE // 2
"""Side of the mask that it finds the subject by."""

NEAR = 64
"""Side of the view from near."""

ROOM = 1.7
"""Half the side of that view over the root of the subject's share of the picture: most subjects fill two thirds of it."""

CLOSEST = 0.22
EMBEDDING = 64
OF_THE_SCENE = ("kind", "background", "effect")
"""Attributes that are told from the whole picture; the others from the view from near."""


class Looking(nn.Module):
    """About half a million parameters; pictures (B, 3, SIDE, SIDE) in -1..1.

    Attributes:
        names: attribute -> the names it takes.
    """

    def __init__(self, names: dict[str, list[str]]) -> None:
        super().__init__()
        self.names = names
        self.first = nn.ModuleList(
            [convolution(3, 16, 2), nn.Sequential(convolution(16, 32, 2), Again(32)), nn.Sequential(convolution(32, 64, 2), Again(64))]
        )
        self.widest = convolution(64, 80, 2)
        self.lateral = nn.ModuleList(nn.Conv2d(width, 32, 1) for width in (16, 32, 64, 80))
        self.mask = nn.Sequential(convolution(32, 16), nn.Conv2d(16, 1, 1))
        self.near = nn.Sequential(convolution(4, 24, 2), convolution(24, 48, 2), Again(48), convolution(48, 96, 2), Again(96))
        self.places = nn.Conv2d(96, 12, 1)
        self.gather = nn.Linear(2 * 96 + 12 * (NEAR // 8) ** 2, 128)
        widths = {name: 160 if name in OF_THE_SCENE else 128 for name in names}
        self.heads = nn.ModuleDict({name: nn.Linear(widths[name], len(values)) for name, values in names.items()})
        self.same = nn.Linear(128, EMBEDDING, bias=False)

    def forward(self, pictures: Tensor, where: Tensor | None = None, loose: float = 0.0) -> dict[str, Tensor]:
        """Attribute -> logits (B, N); "mask" -> logits (B, MASK, MASK) of the front subject; "same" -> unit vectors (B, EMBEDDING).

        Args:
            where: (B, MASK, MASK) masks 0..1 to look at instead of those found.
            loose: how far the view from near may be off, for training.
        """
        mask, scene = self.find(pictures)
        where = confident(mask.detach()) if where is None else where
        seen = self.near(look_near(torch.cat([pictures, enlarge(mask.sigmoid()[:, None], SIDE)], 1), where, loose))
        subject = F.gelu(self.gather(torch.cat([seen.mean((2, 3)), seen.amax((2, 3)), self.places(seen).flatten(1)], 1)))
        told = {name: head(scene if name in OF_THE_SCENE else subject) for name, head in self.heads.items()}
        return told | {"mask": mask, "same": F.normalize(self.same(subject), dim=-1)}

    def find(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(B, MASK, MASK) logits of the subject's mask, and features (B, 160) of the whole picture."""
        levels = [pictures]
        for part in (*self.first, self.widest):
            levels.append(part(levels[-1]))
        merged = self.lateral[3](levels[4])
        for lateral, level in zip((self.lateral[2], self.lateral[1], self.lateral[0]), levels[3:0:-1], strict=True):
            merged = lateral(level) + enlarge(merged, level.shape[-1])
        return self.mask(merged)[:, 0], torch.cat([levels[4].mean((2, 3)), levels[4].amax((2, 3))], 1)


class Again(nn.Module):
    """x + f(x) with two convolutions in f."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(convolution(width, width), nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        nn.init.zeros_(self.blocks[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.blocks(x), 0.1)


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolution, batch normalisation, leaky rectifier."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.1))


def enlarge(x: Tensor, side: int) -> Tensor:
    """(B, C, side, side)."""
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)


def confident(logits: Tensor) -> Tensor:
    """Masks 0..1 without what is unlikely."""
    mask = logits.sigmoid()
    return mask * (mask > 0.5)


def look_near(pictures: Tensor, where: Tensor, loose: float = 0.0, side: int = NEAR) -> Tensor:
    """(B, C, side, side) square views of pictures (B, C, S, S) around masks (B, M, M) 0..1; `loose` moves and scales them at random."""
    half = (ROOM * where.mean((1, 2)).sqrt()).clamp(CLOSEST, 1.0)
    middle = centres(where)
    if loose:
        half = (half * (loose * torch.randn_like(half)).exp()).clamp(CLOSEST, 1.0)
        middle = middle + loose * half[:, None] * torch.randn_like(middle)
    theta = torch.zeros(len(pictures), 2, 3, device=pictures.device)
    theta[:, 0, 0] = theta[:, 1, 1] = half
    theta[:, :, 2] = middle
    grid = F.affine_grid(theta, [*pictures.shape[:2], side, side], align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def centres(masks: Tensor) -> Tensor:
    """(B, 2) centre (x, y) of masks (B, S, S), -1..1; 0 for an empty one."""
    axis = (torch.arange(masks.shape[-1], device=masks.device) + 0.5) * 2 / masks.shape[-1] - 1
    mass = masks.sum((1, 2)) + 1e-6
    return torch.stack([(masks.sum(1) * axis).sum(1) / mass, (masks.sum(2) * axis).sum(1) / mass], 1)
