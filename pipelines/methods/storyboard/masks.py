"""Where the character is in a shot that is being drawn (Motion by Queries, appendix B.10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from skimage.filters import threshold_otsu
from torch import Tensor

from pipelines.video.times import times_of

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

Segment = Callable[[np.ndarray, str], np.ndarray]
"""Frames (T, H, W, 3) uint8 and words -> how likely each pixel belongs to what they name, (T, H, W) 0..1."""

LEAST = 0.05
"""Range of values below which nothing stands out, so that there is no mask."""


def mask_of_estimate(
    backbone: Backbone, estimate: Tensor, segment: Segment, words: str, grid: tuple[int, int, int], *, quickly: bool = False
) -> Tensor:
    """(T', h, w) bool: the character in an estimate of the clean latents (1, C, T', H', W'), decoded and segmented.

    Args:
        quickly: look at the preview instead, which costs next to nothing.
    """
    frames = backbone.preview(estimate) if quickly else backbone.decode_video(estimate)
    likely = torch.from_numpy(segment(frames[times_of(len(frames), grid[0])], words))
    return above_otsu(likely, grid).to(estimate.device)


def above_otsu(values: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """(T', h, w) bool: values (T', H, W), averaged over the tokens' cells, above Otsu's threshold (Otsu 1979) of all of them.

    Empty where nothing stands out.
    """
    cells = F.adaptive_avg_pool2d(values.float()[:, None], grid[1:])[:, 0]
    if float(cells.max() - cells.min()) < LEAST:
        return torch.zeros(grid, dtype=torch.bool, device=values.device)
    return cells > threshold_otsu(values.float().flatten().cpu().numpy())
