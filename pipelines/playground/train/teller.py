"""A teacher for the video models: from the latents around a subject it tells what the subject looks like.

A denoiser's squared error hardly notices which outline a small subject has: it is a matter of few latents. A network
that names what it sees notices at once, so the video model's estimate of the clean clip is asked to be named as its
caption says, wherever the level leaves something to be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipelines.playground.looking import look_near
from pipelines.playground.train.latents import LatentSet, LatentWorld
from pipelines.playground.train.looking import naming
from pipelines.playground.train.run import Budget
from pipelines.playground.train.teaching import disturb, teach

SIDE = 12
"""Side in latents of its view of the subject."""

CROPS = 64
"""Views in a step of its own training."""

SHARE = 0.04
"""Of the budget, for its own training."""

LOOSE = 0.08
VISIBLE = 0.9
"""Noise level 0..1 from which on nothing is asked: an estimate does not show yet where its subject is."""

WEIGHT = 0.1
"""Of its word in the video model's loss."""


class Teller(nn.Module):
    """Views (B, C, SIDE, SIDE) of latents -> attribute -> logits.

    Args:
        channels: of the latents.
        names: attribute -> the names it takes.
    """

    def __init__(self, channels: int, names: dict[str, list[str]], width: int = 48) -> None:
        super().__init__()
        self.names = names
        self.blocks = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), nn.GroupNorm(8, width), nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(8, width), nn.SiLU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1), nn.GroupNorm(8, 2 * width), nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3, 2, 1), nn.GroupNorm(8, 2 * width), nn.SiLU(), nn.Flatten(),
            nn.Linear(2 * width * (SIDE // 4) ** 2, 2 * width), nn.SiLU(),
        )  # fmt: skip
        self.heads = nn.ModuleDict({name: nn.Linear(2 * width, len(values)) for name, values in names.items()})

    def forward(self, views: Tensor) -> dict[str, Tensor]:
        """Logits (B, N) of each attribute."""
        features = self.blocks(views)
        return {name: head(features) for name, head in self.heads.items()}

    def disagreement(self, estimate: Tensor, covers: Tensor, sigma: Tensor, labels: dict[str, Tensor]) -> Tensor:
        """Cross-entropy between what it sees in estimates of clean latents and what their captions say.

        Args:
            estimate: (B, C, T', H', W') of the clean latents.
            covers: (B, 1, T', H', W') where the subject truly is.
            sigma: (B,) noise levels 0..1; each clip counts 1 - sigma, and nothing from VISIBLE on.
            labels: attribute -> (B,) index of its name, -1 where there is nothing to tell.
        """
        frames = estimate.shape[2]
        weight = ((1 - sigma) * (sigma < VISIBLE)).repeat_interleave(frames)
        told = self(views(estimate, covers))
        wanted = {name: places.repeat_interleave(frames) for name, places in labels.items()}
        each = [F.cross_entropy(told[name], places, ignore_index=-1, reduction="none") for name, places in wanted.items()]
        return (torch.stack(each).sum(0) * weight).mean()


def views(latents: Tensor, covers: Tensor, loose: float = 0.0) -> Tensor:
    """(B x T', C, SIDE, SIDE) views around the subjects of latents (B, C, T', H', W') covered by `covers` (B, 1, T', H', W')."""
    height, width = latents.shape[-2:]
    square = (0, max(0, height - width), 0, max(0, width - height))
    frames, masks = (F.pad(values.transpose(1, 2).flatten(0, 1), square) for values in (latents, covers))
    return look_near(frames, masks[:, 0], loose, SIDE)


def train_teller(world: LatentWorld, folder: Path, budget: Budget, device: str, *, resume: bool = True, seed: int = 0) -> Teller:
    """A frozen teller of the subjects in `world`, trained on single latent frames disturbed as estimates are; prints how well it tells.

    Its training takes SHARE of the budget; `folder` holds its checkpoint.
    """
    torch.manual_seed(seed)
    sets = [*world.clips, *world.stills]
    teller = Teller(sets[0].latents.shape[1], world.names).to(device)

    def loss(step: int) -> Tensor:
        latents, covers, labels = _views_of(sets, np.random.default_rng((seed, 5, step)), world.names, device)
        return naming(teller(views(disturb(latents), covers, LOOSE)), labels)

    teach(teller, "teller", folder, budget.part(SHARE), loss, resume=resume, seed=seed)
    print("the teller is right about " + ", ".join(f"{name} {share:.0%}" for name, share in _right(teller, sets, seed).items()), flush=True)
    return teller


def _right(teller: Teller, sets: Sequence[LatentSet], seed: int, batches: int = 16) -> dict[str, float]:
    """Attribute -> share 0..1 of undisturbed views of its training that it tells rightly."""
    counts: dict[str, list[Tensor]] = {name: [] for name in teller.names}
    device = str(next(teller.parameters()).device)
    for batch in range(batches):
        latents, covers, labels = _views_of(sets, np.random.default_rng((seed, 6, batch)), teller.names, device)
        told = teller(views(latents, covers))
        for name, wanted in labels.items():
            counts[name].append((told[name].argmax(1) == wanted)[wanted >= 0].float())
    return {name: torch.cat(parts).mean().item() for name, parts in counts.items()}


def _views_of(
    sets: Sequence[LatentSet], draw: np.random.Generator, names: dict[str, list[str]], device: str
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """CROPS single latent frames of one set, where their subjects are, and what they are called."""
    sizes = np.array([len(part) for part in sets], float)
    part = sets[int(draw.choice(len(sets), p=sizes / sizes.sum()))]
    chosen, frame = draw.integers(len(part), size=CROPS), int(draw.integers(part.latents.shape[2]))
    frames = (torch.from_numpy(values[chosen, :, [frame]].astype(np.float32)).unsqueeze(2) for values in (part.latents, part.covers))
    latents, covers = (values.to(device) for values in frames)
    return latents, covers, {name: wanted.to(device) for name, wanted in part.told(chosen, names).items()}
