"""What the two tasks are taught with: pairs of pictures of one subject, and clips that nobody is paired with (section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from torch import Tensor

from pipelines.events import Progress


class Pairs(NamedTuple):
    """A batch for identity injection, all of one size.

    Attributes:
        reference, target: (B, C, 1, H', W') latents of two pictures of one subject, in any precision.
        text: (B, L, D) states of the target's prompts.
        cover: (B, 1, 1, H', W') 0..1, where the loss counts more in the target; None: nowhere.
        reference_cover: the same of the reference, for a recogniser of subjects that learns from pairs.
    """

    reference: Tensor
    target: Tensor
    text: Tensor
    cover: Tensor | None = None
    reference_cover: Tensor | None = None


class Clips(NamedTuple):
    """A batch for motion awareness, all of one size.

    Attributes:
        target: (B, C, T', H', W') latents.
        text: (B, L, D) states of the captions.
        frames: (B, K, C, 1, H', W') latents of single frames, each encoded alone: inside a clip a latent frame of a causal
            autoencoder knows of those before it. The first frame, then K - 1 that were drawn uniformly.
        cover: (B, 1, T', H', W') 0..1, where the loss counts more; None: nowhere.
    """

    target: Tensor
    text: Tensor
    frames: Tensor
    cover: Tensor | None = None


class Source(Protocol):
    """Where a training gets its examples; always the same ones for the same arguments."""

    def prepare(self) -> Iterator[Progress]:
        """Make what has to be made before the first batch."""

    def notes(self) -> tuple[str, ...]:
        """Sentences about what could not be used so far."""

    def pairs(self, seed: int, number: int, count: int) -> Pairs:
        """Batch `number` of the pairs, of `count` or fewer."""

    def clips(self, seed: int, number: int, count: int) -> Clips:
        """Batch `number` of the clips."""

    def held_out(self, count: int) -> tuple[Pairs, Clips]:
        """A fixed batch of each, of what is never learnt from."""
