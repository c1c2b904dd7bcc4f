"""Which part of an anchor's character belongs to which part of a shot's (Motion by Queries, appendix B.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from skimage.filters import threshold_otsu
from torch import Tensor

CELLS = 1 << 24
"""Similarities that are held at once."""

ALIKE = 1e-3
"""Spread of distances below which none is further away than the others."""


@dataclass(frozen=True)
class Partners:
    """Of a shot's tokens.

    Attributes:
        index: (T' * h * w,) the likest token of the anchors' characters, counted through all anchors.
        near: (T' * h * w,) bool: tokens of the own character whose partner is near enough.
    """

    index: Tensor
    near: Tensor


def partners(features: Tensor, mask: Tensor, others: Sequence[Tensor], masks: Sequence[Tensor]) -> Partners:
    """Partners of a shot's tokens among those of the anchors' characters, over the anchors' whole clips.

    Matches are the highest cosines; those further away than Otsu's threshold of all the character's distances do not count.

    Args:
        features: (N, C) of the shot's video tokens; others: the same of each anchor.
        mask: (T', h, w) bool of the shot's character; masks: of the anchors'.
    """
    index = torch.zeros(len(features), dtype=torch.int64, device=features.device)
    near = torch.zeros(len(features), dtype=torch.bool, device=features.device)
    own, candidates = mask.flatten().nonzero()[:, 0], torch.cat([part.flatten() for part in masks]).nonzero()[:, 0]
    if not len(own) or not len(candidates):
        return Partners(index, near)
    units, known = F.normalize(features[own].float(), dim=-1), F.normalize(torch.cat(list(others))[candidates].float(), dim=-1)
    best = [(part @ known.T).max(1) for part in units.split(max(1, CELLS // len(known)))]
    distance = 1 - torch.cat([part.values for part in best])
    index[own] = candidates[torch.cat([part.indices for part in best])]
    limit = threshold_otsu(distance.cpu().numpy()) if distance.max() - distance.min() > ALIKE else float(distance.max())
    near[own] = distance <= limit
    return Partners(index, near)


def on_grid(features: Tensor, wanted: tuple[int, int, int]) -> Tensor:
    """(T' * h * w, C) of features (T', h', w', C), averaged onto another grid of as many frames."""
    if tuple(features.shape[:3]) != wanted:
        features = F.adaptive_avg_pool2d(features.float().movedim(-1, 1), wanted[1:]).movedim(1, -1)
    return features.flatten(0, 2)


def mask_on_grid(mask: Tensor, wanted: tuple[int, int, int]) -> Tensor:
    """A mask (T', h, w) bool on a coarser grid: where it covers half of a cell."""
    return mask if tuple(mask.shape) == wanted else F.adaptive_avg_pool2d(mask[:, None].float(), wanted[1:])[:, 0] >= 0.5
