"""What helps the video models beside squared error: small frozen networks that judge their estimate of the clean clip."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from pipelines.playground.train import teller, tracker
from pipelines.playground.train.latents import Batch, LatentWorld
from pipelines.playground.train.run import Budget
from pipelines.playground.train.teller import Teller, train_teller
from pipelines.playground.train.tracker import Tracker, train_tracker

SHARE = teller.SHARE + tracker.SHARE
"""Of the budget, for their own trainings."""


class Teachers(NamedTuple):
    """One for how the subject looks, one for the way it goes."""

    teller: Teller
    tracker: Tracker

    def disagreement(self, estimate: Tensor, sigma: Tensor, batch: Batch) -> Tensor:
        """Their part of the loss: estimates (B, C, T', H', W') of clean latents at noise levels `sigma` (B,) 0..1 against the captions."""
        looks = self.teller.disagreement(estimate, batch.covers, sigma, batch.labels)
        return teller.WEIGHT * looks + tracker.WEIGHT * self.tracker.disagreement(estimate, batch.ways)


def train_teachers(world: LatentWorld, folder: Path, budget: Budget, device: str, *, resume: bool = True, seed: int = 0) -> Teachers:
    """Both, trained on the latents of `world` in their shares of the budget; `folder` holds their checkpoints."""
    return Teachers(
        train_teller(world, folder, budget, device, resume=resume, seed=seed),
        train_tracker(world, folder, budget, device, resume=resume, seed=seed),
    )
