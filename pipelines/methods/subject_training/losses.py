"""The two tasks: to draw a subject from another picture of it, and a clip from one of its own frames (sections 3.3 and 3.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.methods.subject_training.examples import Clips, Pairs
from pipelines.methods.subject_training.recipe import Recipe
from pipelines.methods.zero_shot_subject.reference_stream import predict
from pipelines.playground.train.latents import near_subjects
from pipelines.playground.train.precision import mixed

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone
    from pipelines.backbones.schedule import Level, Schedule

LEVELS = 1000


IdentityLoss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Estimates of clean latents, the clean latents (both (B, C, 1, H', W')), where the subject is in them, and the noise 0..1 of each (B,)
-> () how unlike the subjects are; see `latent_subjects.SubjectRecogniser.disagreement`."""


class Noised(NamedTuple):
    """latents (B, C, T', H', W') with noise, timestep (B,) and level of each, and target of that shape: what should be predicted."""

    latents: Tensor
    timestep: Tensor
    target: Tensor
    levels: list[Level]

    def estimate(self, prediction: Tensor) -> Tensor:
        """(B, C, T', H', W') of the clean latents."""
        parts = zip(self.levels, prediction, self.latents, strict=True)
        return torch.stack([level.split(made, latents)[0] for level, made, latents in parts])

    @property
    def share(self) -> Tensor:
        """(B,) of noise in the mixture, 0..1."""
        return self.latents.new_tensor([level.noise / (level.signal + level.noise) for level in self.levels])


def noised(schedule: Schedule, clean: Tensor, draw: np.random.Generator) -> Noised:
    """`clean` (B, C, T', H', W') at levels drawn uniformly (appendix B.1), spread evenly over the batch; targets are the model's own."""
    places = (draw.permutation(len(clean)) + draw.uniform(size=len(clean))) / len(clean)
    indices = (places * len(schedule)).astype(int)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(int(draw.integers(2**62)))).to(clean)
    levels = [schedule.level(int(index)) for index in indices]
    parts = list(zip(levels, clean, noise, strict=True))
    mixtures, targets = (torch.stack([make(level)(x, e) for level, x, e in parts]) for make in (lambda at: at.mix, lambda at: at.target))
    return Noised(mixtures, schedule.timesteps[torch.from_numpy(indices)].to(clean.device), targets, levels)


def tokens_kept(draw: np.random.Generator, batch: int, tokens: int, dropped: float) -> Tensor:
    """(B, M) numbers of the tokens that stay when each is dropped with that probability (section 3.4).

    A batch has to be of one length: how many stay is drawn once for all of it, from the binomial distribution that independent
    drops have, and which ones for each sample; each token stays as often as it would, and as any other.
    """
    many = int(draw.binomial(tokens, 1 - dropped))
    rows = draw.permuted(np.tile(np.arange(tokens), (batch, 1)), axis=1)[:, :many]
    return torch.from_numpy(np.sort(rows, axis=1))


class Tasks(nn.Module):
    """Both losses of a model, as one module that several processes can train together.

    Args:
        backbone: the transformer learns, as far as its parameters do; nothing else of it is part of this module.
        empty: (1, L, D) states of the empty prompt.
        identity: a direct identity loss for pairs that have a reference; None: there is none, as in the paper.
    """

    def __init__(self, backbone: Backbone, recipe: Recipe, empty: Tensor, identity: IdentityLoss | None = None) -> None:
        super().__init__()
        self.transformer = backbone.transformer
        self._beside = (backbone, recipe, empty, identity)

    def forward(self, batch: Pairs | Clips, draw: np.random.Generator, view_drop: float, likeness: float = 0.0) -> Tensor:
        """(): the loss of the task that the batch is for.

        Args:
            draw: of levels, noise and all that is dropped.
            view_drop: share of pairs without their reference.
            likeness: weight of the direct identity loss.
        """
        backbone, recipe, empty, identity = self._beside
        batch = type(batch)(*(None if part is None else part.to(backbone.device, torch.float32) for part in batch))
        silent = torch.from_numpy(draw.uniform(size=len(batch.text)) < recipe.no_text).to(batch.text.device)
        text = torch.where(silent[:, None, None], empty.to(batch.text), batch.text).to(backbone.dtype)
        noise = noised(backbone.schedule(LEVELS, batch.target[:1]), batch.target, draw)
        if not isinstance(batch, Pairs):
            return _loss(self._motion(batch, noise, text, draw), noise, batch.cover)
        seen = torch.from_numpy(draw.uniform(size=len(text)) >= view_drop)
        made = self._identity(batch, noise, text, seen)
        loss = _loss(made, noise, batch.cover)
        if not likeness or identity is None or batch.cover is None:
            return loss
        share = torch.where(seen.to(made.device), noise.share, 1.0)  # of who is not seen nothing is asked
        return loss + likeness * identity(noise.estimate(made), batch.target, batch.cover, share)

    def _identity(self, batch: Pairs, noise: Noised, text: Tensor, seen: Tensor) -> Tensor:
        """Of a single frame in slot 1, the reference in slot 0 or, where it is not `seen` (B,), nothing there (sections 3.3 and A.2)."""
        made = torch.empty_like(noise.target)
        for rows, kept in ((seen, None), (~seen, torch.empty(int((~seen).sum()), 0, dtype=torch.long))):
            rows = rows.nonzero()[:, 0].to(made.device)
            if len(rows):
                part = self._predict(noise.latents[rows], noise.timestep[rows], text[rows], batch.reference[rows], kept)
                made = made.index_put((rows,), part)
        return made

    def _motion(self, batch: Clips, noise: Noised, text: Tensor, draw: np.random.Generator) -> Tensor:
        """Of a whole clip in slots 1.., some of the tokens of one of its frames in slot 0 (section 3.4)."""
        backbone, recipe, *_ = self._beside
        count, moments = batch.frames.shape[:2]
        chosen = draw.integers(1, moments, size=count) if recipe.random_frame and moments > 1 else np.zeros(count, int)
        reference = batch.frames[torch.arange(count), torch.from_numpy(chosen)]  # (B, C, 1, H', W')
        layout = backbone.tokens(reference)
        dropped = recipe.token_drop if recipe.image_to_video else 1.0
        kept = tokens_kept(draw, count, layout.video, dropped) if dropped else None
        return self._predict(noise.latents, noise.timestep, text, reference, kept)

    def _predict(self, latents: Tensor, timestep: Tensor, text: Tensor, reference: Tensor, kept: Tensor | None) -> Tensor:
        backbone, recipe, *_ = self._beside
        with mixed(backbone.device) if recipe.bfloat16 else torch.autocast(backbone.device, enabled=False):
            return predict(backbone, latents, timestep, text, reference, kept=kept).float()


def _loss(made: Tensor, noise: Noised, cover: Tensor | None) -> Tensor:
    """(): squared error, which counts more where `cover` says."""
    error = (made.float() - noise.target).square()
    return error.mean() if cover is None else near_subjects(error, cover)
