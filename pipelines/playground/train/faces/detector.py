"""The face detector: a small convolutional network in the layout of SCRFD (Guo et al. 2021, arXiv 2105.04714).

Strides 8, 16 and 32, two anchors at each place, for each a score, the distances to the sides of the box and five key points.
insightface's `SCRFD` reads nine outputs: three times scores (N, 1), then three times distances (N, 4), then three times key
points (N, 10), in units of the stride, places row by row, both anchors of a place side by side. A place is the top left
corner of its cell. Pictures come in as (RGB - 127.5) / 128.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pipelines.playground.train.faces.layers import Conv, Residual
from pipelines.playground.train.faces.scenes import FaceScenes
from pipelines.playground.train.optimise import MuonAndAdamW
from pipelines.playground.train.run import Average, Budget, Run, warm_then_cosine

STRIDES = (8, 16, 32)
ANCHORS = ((16, 32), (64, 128), (256, 512))
"""For each stride, the face sizes in pixels that its two anchors stand for; each sees faces half an octave about it."""

MEAN, SCALE = 127.5, 128.0
"""insightface's normalisation."""

PIXELS = 16 * 1024
"""Pixels in one sample of a step, whatever the size of the pictures."""

PEAK = 1.5e-3


class Detector(nn.Module):
    """About 0.3 million parameters; a picture of any size that is a multiple of 32."""

    def __init__(self, widths: tuple[int, int, int, int, int] = (16, 32, 40, 56, 72), neck: int = 48) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.stem = Conv(3, a, stride=2)
        fine = nn.Sequential(Conv(a, b, stride=2), Conv(b, c, stride=2), Residual(c))
        middle = nn.Sequential(Conv(c, d, stride=2), Residual(d))
        coarse = nn.Sequential(Conv(d, e, stride=2), Residual(e, spread=2))
        self.blocks = nn.ModuleList([fine, middle, coarse])
        self.lateral_blocks = nn.ModuleList(Conv(width, neck, 1) for width in (c, d, e))
        self.smooth_blocks = nn.ModuleList(Conv(neck, neck) for _ in STRIDES)
        self.heads = nn.ModuleList(nn.Conv2d(neck, 2 * 15, 1) for _ in STRIDES)
        for head in self.heads:
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
            nn.init.constant_(head.bias[:2], -4.0)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Normalised (B, 3, H, W) -> scores x 3, distances x 3, key points x 3, each (B * places * 2, 1 | 4 | 10)."""
        parts = [self.read(level, features) for level, features in enumerate(self.features(pixels))]
        return tuple(part[kind] for kind in range(3) for part in parts)

    def features(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """One (B, C, H / s, W / s) for each stride s, what is seen coarsely added to what is seen finely."""
        fine = self.blocks[0](self.stem(pixels))
        middle = self.blocks[1](fine)
        coarse = self.lateral_blocks[2](self.blocks[2](middle))
        middle = self.lateral_blocks[1](middle) + F.interpolate(coarse, scale_factor=2.0)
        fine = self.lateral_blocks[0](fine) + F.interpolate(middle, scale_factor=2.0)
        return [smooth(x) for smooth, x in zip(self.smooth_blocks, (fine, middle, coarse), strict=True)]

    def read(self, level: int, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Scores 0..1, distances and key points in strides, of one level: the network itself speaks in sizes of its anchors."""
        raw = self.heads[level](features)
        scores, distances, points = raw[:, :2], raw[:, 2:10], raw[:, 10:]
        near, far = (anchor / STRIDES[level] for anchor in ANCHORS[level])
        boxes = torch.cat([distances[:, :4] * near, distances[:, 4:] * far], 1)
        marks = torch.cat([points[:, :10] * near, points[:, 10:] * far], 1)
        return tuple(x.permute(0, 2, 3, 1).reshape(-1, width) for x, width in ((scores.sigmoid(), 1), (boxes, 4), (marks, 10)))


def places(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of all anchors in a picture, in the order of the outputs: centres (N, 2) in pixels, strides (N,), anchor sizes (N,)."""
    centres, strides, sizes = [], [], []
    for stride, anchors in zip(STRIDES, ANCHORS, strict=True):
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        here = (torch.stack([x, y], -1).reshape(-1, 2) * stride).repeat_interleave(2, 0)
        centres.append(here.float())
        strides.append(torch.full((len(here),), float(stride)))
        sizes.append(torch.tensor(anchors).float().repeat(len(here) // 2))
    return torch.cat(centres), torch.cat(strides), torch.cat(sizes)


def assign(boxes: torch.Tensor, grid: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Which anchors answer for which face of one picture.

    Args:
        boxes: (M, 4) faces in pixels.
        grid: what `places` gives for the picture.

    Returns:
        (N,) the face that each anchor is to find, -1 for none; (N,) bool, whether its score is left open because it nearly does.
    """
    centres, strides, sizes = grid
    if not len(boxes):
        return torch.full((len(sizes),), -1), torch.zeros(len(sizes), dtype=torch.bool)
    middle, size = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).prod(1).sqrt()
    octaves = (size[None] / sizes[:, None]).log2().abs()
    away = (centres[:, None] - middle[None]).abs().amax(-1)
    reach = torch.maximum(0.16 * size[None], 0.55 * strides[:, None])
    finds = (octaves <= 0.6) & (away <= reach)
    nearly = (octaves <= 1.0) & (away <= torch.maximum(2 * reach, 0.4 * size[None]))
    chosen = torch.where(finds, away, torch.inf).argmin(1)
    return torch.where(finds.any(1), chosen, -1), nearly.any(1) & ~finds.any(1)


def detection_loss(
    outputs: tuple[torch.Tensor, ...], boxes: list[torch.Tensor], landmarks: list[torch.Tensor], height: int, width: int
) -> torch.Tensor:
    """Focal loss of the scores (Lin et al. 2017, eq. 5, gamma 2) and L1 of sides and key points relative to the face's size.

    Args:
        outputs: of the detector for B pictures of `height` x `width`.
        boxes, landmarks: for each picture, (M, 4) and (M, 5, 2) of its faces in pixels.
    """
    grid = tuple(part.to(outputs[0].device) for part in places(height, width))
    scores, distances, points = (join(outputs[kind * 3 : kind * 3 + 3], len(boxes)) for kind in range(3))
    score, side, mark, found = 0.0, 0.0, 0.0, 0
    for index, (box, marks) in enumerate(zip(boxes, landmarks, strict=True)):
        face, open_ = assign(box, grid)
        hit = face >= 0
        score = score + focal(scores[index, ~open_, 0], hit[~open_].float())
        found += int(hit.sum())
        if hit.any():
            face, centre, stride = face[hit], grid[0][hit], grid[1][hit, None]
            size = (box[face, 2:] - box[face, :2]).prod(1).sqrt()[:, None]
            wanted = torch.cat([centre - box[face, :2], box[face, 2:] - centre], 1)
            side = side + ((distances[index, hit] * stride - wanted) / size).abs().sum()
            offset = (marks[face] - centre[:, None]).flatten(1)
            mark = mark + ((points[index, hit] * stride - offset) / size).abs().sum()
    return (score + 0.5 * side + mark) / max(found, 1)


def join(levels: tuple[torch.Tensor, ...], count: int) -> torch.Tensor:
    """(B, N, C) of outputs of one kind, each (B * places * 2, C), in the order of `places`."""
    return torch.cat([level.reshape(count, -1, level.shape[-1]) for level in levels], 1)


def focal(scores: torch.Tensor, truth: torch.Tensor, gamma: float = 2.0) -> torch.Tensor:
    """Sum over anchors (N,) of -(1 - p)^gamma log p, where p is the probability 0..1 given to what is true."""
    right = torch.where(truth > 0, scores, 1 - scores).clamp(1e-6, 1)
    weight = torch.where(truth > 0, 0.75, 0.5)
    return -(weight * (1 - right) ** gamma * right.log()).sum()


def train_detector(
    scenes: FaceScenes, folder: Path, budget: Budget, device: str, *, batch: int = 8, resume: bool = True, seed: int = 0
) -> Detector:
    """The detector with averaged weights. A step looks at `batch` x PIXELS pixels, in pictures of one size."""
    torch.manual_seed(seed)
    model = Detector().to(device)
    average = Average(model, decay=0.995)
    optimiser = MuonAndAdamW(model, PEAK)
    run = Run(folder, "detector", {"model": model, "average": average, "optimiser": optimiser}, budget, seed, resume)

    def update(step: int, progress: float) -> float:
        optimiser.set_rate(warm_then_cosine(progress, step, peak=PEAK))
        side, pixels, boxes, landmarks = scenes.draw(np.random.default_rng((seed, step)), batch * PIXELS)
        outputs = model(((pixels * 255 - MEAN) / SCALE).to(device))
        loss = detection_loss(outputs, [b.to(device) for b in boxes], [m.to(device) for m in landmarks], side, side)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        average.update(model)
        return loss.item()

    run.loop(update)
    model.load_state_dict(average.weights)
    return model.cpu().eval()
