"""Fine appearance injection (V-Warper, section 4.3): reference values are warped into the generation where matches can be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor

from pipelines.attention.correspondence import Matches, cycle_error, cycle_mask, match, warp
from pipelines.attention.edits import Replacing, replacing
from pipelines.attention.maps import TextMaps, scale, text_maps
from pipelines.attention.sharing import Sharing, beside, blended, sharing
from pipelines.methods.appearance_warping.reference import Describing, Features, Reference, Wanted, describing

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


How = Literal["warp", "key-value", "concat"]
"""Values warped along matches (the paper), or attention to the reference's keys and values, in its place or beside the own."""


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


class Means(Protocol):
    """How appearance gets into a step."""

    def use(self, step: int, seen: Seen) -> None:
        """From now on `step`'s layers take their appearance from the reference, as `seen` allows."""

    def rest(self) -> None:
        """From now on nothing is injected."""


class Warping:
    """V-Warper's own: values are warped along the matches (section 4.3, eq. 8)."""

    def __init__(self, reference: Reference, values: Replacing) -> None:
        self._reference, self._values = reference, values

    def use(self, step: int, seen: Seen) -> None:
        for layer in self._values.layers:
            self._values.write(layer, warp(self._reference.values[step, layer], seen.matches)[None], seen.mask.flatten())
        self._values.switch(True)

    def rest(self) -> None:
        self._values.switch(False)


class SharedKeys:
    """What it is compared with: attention that sees the reference's keys and values (appendix B.2).

    Args:
        threshold: 0..1 of the reference's attention map; None shows all of the reference to all tokens (concatenation),
            else its foreground to the tokens of the mask (key-value replacement).
    """

    def __init__(self, reference: Reference, shared: Sharing, heads: int, threshold: float | None) -> None:
        self._reference, self._shared, self._heads, self._threshold = reference, shared, heads, threshold

    def use(self, step: int, seen: Seen) -> None:
        for layer in self._shared.layers:
            parts = (self._reference.keys[step, layer], self._reference.values[step, layer])
            key, value = (part.unflatten(1, (self._heads, -1)).transpose(0, 1)[None] for part in parts)  # (1, heads, M, d)
            if self._threshold is None:
                self._shared.set(layer, partial(beside, key, value))
            else:
                foreground = (self._reference.attention > self._threshold).flatten()
                self._shared.set(layer, partial(blended, key, value, foreground, seen.mask.flatten()))

    def rest(self) -> None:
        self._shared.clear()


class Injection:
    """Call `before` and `after` around each denoising step; made by `injecting`."""

    def __init__(
        self, backbone: Backbone, reference: Reference, wanted: Wanted, trust: Trust, described: Describing, maps: TextMaps, means: Means
    ) -> None:
        self._backbone, self._reference, self._wanted, self._trust = backbone, reference, wanted, trust
        self._described, self._maps, self._means = described, maps, means
        self._features: Features | None = None
        self._last = max(wanted.steps, default=-1)
        self._step = 0

    def needs_look(self, step: int) -> bool:
        """Whether a forward pass without injection has to come before `step`: it is the first one and there is nothing to match yet."""
        return step in self._wanted.steps and self._features is None

    def before(self, step: int, latents: Tensor) -> Seen | None:
        """Prepare what `step` is given of the reference; None where nothing is injected.

        Descriptors are those of the step before, of both branches; at the first step of all, its own.
        """
        self._step = step
        if step not in self._wanted.steps or self._features is None:
            self._means.rest()
            return None
        seen = self._look(self._reference.features[max(step - 1, 0)], self._backbone.tokens(latents).grid)
        self._means.use(step, seen)
        return seen

    def after(self, latents: Tensor) -> None:
        """Take what the forward pass over `latents` (1, C, T', H', W') said, while a step to come may need it."""
        if self._step >= self._last:
            return
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
    backbone: Backbone, latents: Tensor, tokens: Sequence[int], reference: Reference, wanted: Wanted, trust: Trust, rows: int,
    how: How = "warp",
) -> Iterator[Injection]:  # fmt: skip
    """Within, the appearance of the reference can be injected.

    Args:
        latents: of the generation, any of their shape.
        tokens: positions of the subject's word in the prompt.
        rows: of a forward pass: 2 with guidance, else 1. Both halves are injected.
    """
    layout, blocks = backbone.tokens(latents), backbone.blocks()
    watched = sorted({wanted.descriptor_layer, *wanted.value_layers})
    with ExitStack() as stack:
        described = stack.enter_context(describing(backbone, layout, wanted))
        maps = stack.enter_context(text_maps(backbone, latents, tokens, layers=watched))
        if how == "warp":
            values = stack.enter_context(replacing(blocks, "value", layout, layers=wanted.value_layers, steps=(), rows=rows))
            means: Means = Warping(reference, values)
        else:
            shared = stack.enter_context(sharing(backbone, wanted.value_layers))
            means = SharedKeys(reference, shared, layout.heads, trust.foreground if how == "key-value" else None)
        yield Injection(backbone, reference, wanted, trust, described, maps, means)
