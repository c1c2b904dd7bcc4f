"""How queries move from frame to frame, whatever they say (Motion by Queries, appendix B.11, after TokenFlow)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Weight = Literal["sigmoid", "linear"]


@dataclass(frozen=True)
class Flow:
    """What each token is put together from.

    Attributes:
        index: (rows, 2, T' * h * w) tokens of the key frames before and after.
        weight: (2, T' * h * w) how much each counts; they sum to 1.
    """

    index: Tensor
    weight: Tensor


def key_frames(frames: int, every: int) -> list[int]:
    """Every so many of the latent frames, and the last one."""
    return sorted({*range(0, frames, every), frames - 1})


def flow_of(queries: Tensor, grid: tuple[int, int, int], every: int = 2, weight: Weight = "sigmoid") -> Flow:
    """For each token the likest ones of the nearest key frames, (x_A, y_A) and (x_B, y_B) of eq. 2 and 3, and w of eq. 4.

    w = sigmoid((f_B - f) / (f_B - f_A)) as printed, or without the sigmoid; a key frame is made of itself alone.

    Args:
        queries: (rows, T' * h * w, C) before RoPE.
        grid: (T', h, w).
        every: latent frames from one key frame to the next.
    """
    frames, side = grid[0], grid[1] * grid[2]
    units = F.normalize(queries.float(), dim=-1).unflatten(1, (frames, side))  # (rows, T', h * w, C)
    keys, parts, weights = key_frames(frames, every), [], []
    own = torch.arange(side, device=queries.device).expand(len(queries), -1)
    for frame in range(frames):
        before, after = max(key for key in keys if key <= frame), min(key for key in keys if key >= frame)
        if before == after:
            places, share = (own, own), 1.0
        else:
            places = tuple((units[:, frame] @ units[:, key].mT).argmax(-1) for key in (before, after))  # (rows, h * w) each
            nearness = (after - frame) / (after - before)
            share = nearness if weight == "linear" else float(torch.sigmoid(torch.tensor(nearness)))
        parts.append(torch.stack([places[0] + before * side, places[1] + after * side], 1))
        weights.append(torch.tensor([[share], [1 - share]], device=queries.device).expand(-1, side))
    return Flow(torch.cat(parts, 2), torch.cat(weights, 1))
