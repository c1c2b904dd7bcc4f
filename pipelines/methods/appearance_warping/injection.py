"""Fine appearance injection (V-Warper, section 4.3): reference values are warped into the generation where matches can be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipelines.attention.correspondence import Matches, cycle_error, cycle_mask, match, warp
from pipelines.attention.edits import Replacing, replacing
from pipelines.attention.maps import TextMaps, scale, text_maps
from pipelines.methods.appearance_warping.reference import Describing, Features, Reference, Wanted, describing

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


@dataclass(frozen=True)
class Trust:
    """Where appearance may be injected.

    Attributes:
        masked: off: everywhere.
        foreground: threshold 0..1 of the subject's attention map, scaled to 0..1 over the clip.
        cycle: factor of the threshold of the cycle check.
    """

    masked: bool = True
    foreground: float = 0.3
    cycle: float = 0.1


@dataclass(frozen=True)
class Seen:
    """What a step was decided by, for the eye.

    Attributes:
        matches: with the reference.
        attention: (T', h, w) 0..1 map of the subject's word.
        foreground, cycle, mask: (T', h, w) bool.
    """

    matches: Matches
    attention: Tensor
    foreground: Tensor
    cycle: Tensor
    mask: Tensor

    def cpu(self) -> Seen:
        """The same in main memory."""
        found = self.matches
        matches = Matches(found.grid, found.to_reference.cpu(), found.to_generated.cpu(), found.score.cpu())
        return Seen(matches, *(part.cpu() for part in (self.attention, self.foreground, self.cycle, self.mask)))


class Injection:
    """Call `before` and `after` around each denoising step; made by `injecting`."""

    def __init__(
        self,
        backbone: Backbone,
        reference: Reference,
        wanted: Wanted,
        trust: Trust,
        described: Describing,
        maps: TextMaps,
        values: Replacing,
    ) -> None:
        self._backbone, self._reference, self._wanted, self._trust = backbone, reference, wanted, trust
        self._described, self._maps, self._values = described, maps, values
        self._features: Features | None = None

    def needs_look(self, step: int) -> bool:
        """Whether a forward pass without injection has to come before `step`: it is the first one and there is nothing to match yet."""
        return step in self._wanted.steps and self._features is None

    def before(self, step: int, latents: Tensor) -> Seen | None:
        """Write the warped values for `step`; None where nothing is injected.

        Descriptors are those of the step before, of both branches; at the first step of all, its own.
        """
        self._values.at_step(step)
        if step not in self._wanted.steps or self._features is None:
            return None
        seen = self._look(self._reference.features[max(step - 1, 0)], self._backbone.tokens(latents).grid)
        strength = seen.mask.flatten()
        for layer in self._wanted.value_layers:
            warped = warp(self._reference.values[step, layer], seen.matches)
            self._values.write(layer, warped[None], strength)
        return seen

    def after(self, latents: Tensor) -> None:
        """Take what the forward pass over `latents` (1, C, T', H', W') said."""
        self._features = self._described.latest(latents)
        self._maps.add(latents)

    def _look(self, reference: Features, grid: tuple[int, int, int]) -> Seen:
        features = self._features
        matches = match(features.query, features.key, reference.query, reference.key, grid)
        attention = scale(self._maps.mean())[0]
        foreground = attention > self._trust.foreground
        cycle = cycle_mask(cycle_error(matches), foreground, self._trust.cycle)
        mask = foreground & cycle if self._trust.masked else torch.ones_like(foreground)
        return Seen(matches, attention, foreground, cycle, mask)


@contextmanager
def injecting(
    backbone: Backbone, latents: Tensor, tokens: Sequence[int], reference: Reference, wanted: Wanted, trust: Trust, rows: int
) -> Iterator[Injection]:
    """Within, values of the reference can be injected.

    Args:
        latents: of the generation, any of their shape.
        tokens: positions of the subject's word in the prompt.
        rows: of a forward pass: 2 with guidance, else 1. Both halves are injected.
    """
    layout, blocks = backbone.tokens(latents), backbone.blocks()
    watched = sorted({wanted.descriptor_layer, *wanted.value_layers})
    with (
        describing(backbone, layout, wanted) as described,
        text_maps(backbone, latents, tokens, layers=watched) as maps,
        replacing(blocks, "value", layout, layers=wanted.value_layers, steps=wanted.steps, rows=rows) as values,
    ):
        yield Injection(backbone, reference, wanted, trust, described, maps, values)
