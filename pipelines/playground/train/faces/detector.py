"""The face detector: a small convolutional network in the layout of SCRFD (Guo et al. 2021, arXiv 2105.04714).

Strides 8, 16 and 32, two anchors at each place, for each a score, the distances to the sides of the box and five key points.
insightface's `SCRFD` reads nine outputs: three times scores (N, 1), then three times distances (N, 4), then three times key
points (N, 10), in units of the stride, places row by row, both anchors of a place side by side. A place is the top left
corner of its cell. Pictures come in as (RGB - 127.5) / 128.

Other than in SCRFD the strides share one network: it looks at the picture, at half of its size and at a quarter. What it
learns of faces of one size so holds for all, and it is trained on the first stride alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pipelines.playground.train.faces.layers import Conv, Residual, begin_with
from pipelines.playground.train.faces.scenes import FaceScenes
from pipelines.playground.train.optimise import MuonAndAdamW
from pipelines.playground.train.run import Average, Budget, Run, descend, warm_then_cosine

STRIDES = (8, 16, 32)
ANCHORS = (3, 6)
"""Face sizes in strides that the two anchors of a place stand for; each sees faces half an octave about it: 17 to 280 px in all."""

MEAN, SCALE = 127.5, 128.0
"""insightface's normalisation."""

PIXELS = 16 * 1024
"""Pixels in one sample of a step, whatever the size of the pictures."""

PEAK = 1.5e-3


class Detector(nn.Module):
    """About 0.3 million parameters; a picture of any size that is a multiple of 32."""

    def __init__(self, widths: tuple[int, int, int, int, int] = (16, 32, 44, 56, 64), neck: int = 48) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.stem = Conv(3, a, stride=2)
        fine = nn.Sequential(Conv(a, b, stride=2), Conv(b, c, stride=2), Residual(c))
        middle = nn.Sequential(Conv(c, d, stride=2), Residual(d))
        coarse = nn.Sequential(Conv(d, e, stride=2), Residual(e))
        self.blocks = nn.ModuleList([fine, middle, coarse])
        self.lateral_blocks = nn.ModuleList(Conv(width, neck, 1) for width in (c, d, e))
        self.head_blocks = nn.Sequential(Conv(neck, neck), Conv(neck, neck))
        self.head = nn.Conv2d(neck, 2 * 15, 1)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        nn.init.constant_(self.head.bias[:2], -4.0)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Normalised (B, 3, H, W) -> scores x 3, distances x 3, key points x 3, each (B * places * 2, 1 | 4 | 10)."""
        sizes = [pixels, F.avg_pool2d(pixels, 2), F.avg_pool2d(pixels, 4)]
        strides = [self.look(size) for size in sizes]
        return tuple(parts[kind] for kind in range(3) for parts in strides)

    def look(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Scores 0..1, distances and key points in strides, of the first stride: the network itself speaks in sizes of its anchors."""
        raw = self.head(self.head_blocks(self.features(pixels)))
        near, far = ANCHORS
        boxes = torch.cat([raw[:, 2:6] * near, raw[:, 6:10] * far], 1)
        marks = torch.cat([raw[:, 10:20] * near, raw[:, 20:] * far], 1)
        return tuple(x.permute(0, 2, 3, 1).reshape(-1, width) for x, width in ((raw[:, :2].sigmoid(), 1), (boxes, 4), (marks, 10)))

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, C, H / 8, W / 8), what is seen coarsely added to what is seen finely."""
        fine = self.blocks[0](self.stem(pixels))
        middle = self.blocks[1](fine)
        coarse = self.lateral_blocks[2](self.blocks[2](middle))
        middle = self.lateral_blocks[1](middle) + enlarge(coarse, middle)
        return self.lateral_blocks[0](fine) + enlarge(middle, fine)


def enlarge(coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) at twice the size, cut to that of `fine`."""
    return F.interpolate(coarse, scale_factor=2.0)[..., : fine.shape[-2], : fine.shape[-1]]


def places(height: int, width: int, count: int = len(STRIDES)) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of all anchors of the first `count` strides, in the order of the outputs: centres (N, 2) in pixels, strides (N,), sizes (N,)."""
    centres, strides, sizes = [], [], []
    for stride in STRIDES[:count]:
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        here = (torch.stack([x, y], -1).reshape(-1, 2) * stride).repeat_interleave(2, 0)
        centres.append(here.float())
        strides.append(torch.full((len(here),), float(stride)))
        sizes.append(torch.tensor(ANCHORS).float().repeat(len(here) // 2) * stride)
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
    """Quality focal loss of the scores, and L1 of sides and key points relative to the face's size.

    Args:
        outputs: scores, distances, key points of B pictures of `height` x `width`: of one stride or more.
        boxes, landmarks: for each picture, (M, 4) and (M, 5, 2) of its faces in pixels.
    """
    count = len(outputs) // 3
    grid = tuple(part.to(outputs[0].device) for part in places(height, width, count))
    scores, distances, points = (join(outputs[kind * count : (kind + 1) * count], len(boxes)) for kind in range(3))
    parts = [
        picture_loss(scores[index, :, 0], distances[index], points[index], boxes[index], landmarks[index], grid)
        for index in range(len(boxes))
    ]
    score, side, mark, found = (sum(part[kind] for part in parts) for kind in range(4))
    return (score + 0.5 * side + mark) / max(found, 1)


def picture_loss(
    scores: torch.Tensor, distances: torch.Tensor, points: torch.Tensor, boxes: torch.Tensor, landmarks: torch.Tensor,
    grid: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:  # fmt: skip
    """Of one picture with N anchors: losses of scores, sides and key points, summed over anchors, and how many of these find a face."""
    face, nearly = assign(boxes, grid)
    hit = face >= 0
    box, centre, stride = boxes[face[hit]], grid[0][hit], grid[1][hit, None]
    size = (box[:, 2:] - box[:, :2]).prod(1).sqrt()[:, None]
    told = distances[hit] * stride
    wanted = torch.cat([centre - box[:, :2], box[:, 2:] - centre], 1)
    offset = (landmarks[face[hit]] - centre[:, None]).flatten(1)
    quality = torch.zeros_like(scores)
    quality[hit] = (1 + overlap(told.detach(), wanted)) / 2
    score = quality_focal(scores[~nearly], quality[~nearly])
    return score, ((told - wanted) / size).abs().sum(), ((points[hit] * stride - offset) / size).abs().sum(), int(hit.sum())


def overlap(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """(N,) intersection over union of boxes given by distances (N, 4) from one place to left, top, right and bottom."""
    first = first.clamp(min=0)
    inside = torch.minimum(first, second)
    areas = [(sides[:, 0] + sides[:, 2]) * (sides[:, 1] + sides[:, 3]) for sides in (inside, first, second)]
    return areas[0] / (areas[1] + areas[2] - areas[0]).clamp(min=1e-6)


def join(levels: tuple[torch.Tensor, ...], count: int) -> torch.Tensor:
    """(B, N, C) of outputs of one kind, each (B * places * 2, C), in the order of `places`."""
    return torch.cat([level.reshape(count, -1, level.shape[-1]) for level in levels], 1)


def quality_focal(scores: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """Sum over anchors (N,) of cross-entropy times squared difference (Li et al. 2020, Generalized Focal Loss, eq. 6, beta 2).

    `quality` 0..1 is what the score should be: 0 without a face, else more the better the box fits, so that of several
    boxes of one face the best is kept.
    """
    scores = scores.clamp(1e-6, 1 - 1e-6)
    return ((scores - quality) ** 2 * F.binary_cross_entropy(scores, quality, reduction="none")).sum()


def train_detector(
    scenes: FaceScenes, folder: Path, budget: Budget, device: str, *, batch: int = 8, start: Path | None = None, resume: bool = True,
    seed: int = 0,
) -> Detector:  # fmt: skip
    """The detector with averaged weights. A step looks at `batch` x PIXELS pixels, in pictures of one size.

    `start` is the folder of an earlier training to go on from.
    """
    torch.manual_seed(seed)
    model = Detector().to(device)
    if start:
        begin_with(model, start / "detector.pt")
    average = Average(model, decay=0.995)
    optimiser = MuonAndAdamW(model, PEAK)
    run = Run(folder, "detector", {"model": model, "average": average, "optimiser": optimiser}, budget, seed, resume)

    def update(step: int, progress: float) -> float:
        optimiser.set_rate(warm_then_cosine(progress, step, peak=PEAK))
        side, pixels, boxes, landmarks = scenes.draw(np.random.default_rng((seed, step)), batch * PIXELS)
        outputs = model.look(((pixels * 255 - MEAN) / SCALE).to(device))
        loss = detection_loss(outputs, [b.to(device) for b in boxes], [m.to(device) for m in landmarks], side, side)
        return descend(loss, model, optimiser, average, limit=5.0)

    run.loop(update)
    model.load_state_dict(average.weights)
    return model.cpu().eval()
