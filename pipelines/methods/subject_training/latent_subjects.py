"""A recogniser of subjects that looks at latents, and the direct identity loss that it makes possible.

Squared error hardly asks which toy it is: a marking is a few latents of a picture. A small network is taught, from pairs of
pictures alone, to tell in latents around a subject which one it is (contrast between the subjects of a step), and what the model's
estimate shows is asked to be told to be the subject of the target. `face_training.latent_faces` says what such a loss costs; as
there, it is a training aid of ours beside the paper's loss. Unlike there it counts the same at nearly every noise level: where
little can be seen yet, what a subject looks like can come from the reference only, and that is where it is learnt.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipelines.events import Event
from pipelines.playground.train.optimise import MuonAndAdamW
from pipelines.playground.train.run import Budget, warm_then_cosine
from pipelines.playground.train.teaching import PEAK, disturb
from pipelines.playground.train.teller import LOOSE, SIDE, views
from pipelines.training.loop import Loop

if TYPE_CHECKING:
    from pipelines.methods.subject_training.examples import Source

EMBEDDING = 64
PAIRS = 96
"""Subjects in a step of its training, each seen twice."""

TEMPERATURE = 0.1
VISIBLE = 0.97
"""Noise level 0..1 from which on nothing is asked."""


class SubjectRecogniser(nn.Module):
    """Views (B, C, SIDE, SIDE) of subjects in latents -> (B, EMBEDDING) of unit length, near each other for one subject."""

    def __init__(self, channels: int, width: int = 64) -> None:
        super().__init__()
        sizes = [(channels, width, 1), (width, width, 1), (width, 2 * width, 2), (2 * width, 2 * width, 1), (2 * width, 2 * width, 2)]
        self.blocks = nn.Sequential(*(part for size in sizes for part in _layer(*size)), nn.Flatten(), nn.Dropout(0.2))
        self.embed = nn.Linear(2 * width * (SIDE // 4) ** 2, EMBEDDING)

    def forward(self, seen: Tensor) -> Tensor:
        return F.normalize(self.embed(self.blocks(seen)), dim=1)

    def disagreement(self, estimate: Tensor, clean: Tensor, cover: Tensor, level: Tensor) -> Tensor:
        """(): 1 - cosine between the subjects seen in estimates and in what they are estimates of.

        Args:
            estimate, clean: (B, C, 1, H', W').
            cover: (B, 1, 1, H', W') where the subject is.
            level: (B,) noise 0..1 of what the estimates were made from; nothing from VISIBLE on.
        """
        with torch.no_grad():
            wanted = self(views(clean.float(), cover))
        cosine = (self(views(estimate.float(), cover)) * wanted).sum(1)
        return ((1 - cosine) * (level < VISIBLE)).mean()


def _layer(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(8, outputs), nn.SiLU()]


def train_recogniser(source: Source, file: Path, budget: Budget, device: str, seed: int = 0) -> Iterator[Event | SubjectRecogniser]:
    """A frozen one, last of what is yielded, taught with the pairs of `source`, which have to have covers.

    Args:
        file: its checkpoint.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = SubjectRecogniser(source.pairs(seed, 0, 1).target.shape[1]).to(device)
    optimiser = MuonAndAdamW(model, PEAK, weight_decay=0.05)

    def update(step: int, progress: float) -> float:
        optimiser.set_rate(warm_then_cosine(progress, step, peak=PEAK))
        draw = np.random.default_rng((seed, 32, step))
        with torch.random.fork_rng():
            torch.manual_seed(int(draw.integers(2**62)))
            loss = contrast(model, source, int(draw.integers(2**31)), step)
            optimiser.zero_grad()
            loss.backward()
        optimiser.step()
        return loss.item()

    with torch.enable_grad():
        yield from Loop(file, {"model": model, "optimiser": optimiser}, budget).run(update, "learning subjects in latents")
    yield model.eval().requires_grad_(False)


def contrast(model: SubjectRecogniser, source: Source, seed: int, number: int) -> Tensor:
    """(): cross-entropy of which subject of a batch the other picture shows, both disturbed as a model's estimates are (InfoNCE)."""
    pairs = source.pairs(seed, number, PAIRS)
    device = next(model.parameters()).device
    first, second = (
        model(views(disturb(latents.float().to(device)), cover.float().to(device), LOOSE))
        for latents, cover in ((pairs.target, pairs.cover), (pairs.reference, pairs.reference_cover))
    )
    cosines = first @ second.T / TEMPERATURE
    itself = torch.arange(len(cosines), device=device)
    return (F.cross_entropy(cosines, itself) + F.cross_entropy(cosines.T, itself)) / 2
