"""Which frames latent frames stand for."""

from __future__ import annotations


def times_of(frames: int, count: int) -> list[int]:
    """Which frame of a clip of `frames` each of `count` latent frames stands for: the first for itself, the others for the middle
    of those that were folded into them."""
    folded = max((frames - 1) // max(count - 1, 1), 1)
    return [min(1 + (index - 1) * folded + (folded - 1) // 2 if index else 0, frames - 1) for index in range(count)]
