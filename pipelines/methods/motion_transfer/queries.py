"""Motion by Queries (Atzmon et al. 2025): queries of a source clip, seen through noise, stand in for those of the clip being drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipelines.attention.edits import CONDITIONAL, Replacing, recording, replacing
from pipelines.attention.moments import Moments, restating
from pipelines.attention.stopping import forward_until
from pipelines.backbones.layout import TokenLayout
from pipelines.backbones.schedule import Schedule

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


@dataclass(frozen=True)
class Transfer:
    """What is taken over, and when; numbers are those of the model and schedule at hand.

    Attributes:
        layers: whose queries are replaced.
        steps: the first k, at which they are.
        at: step of the schedule whose noise the source is looked at with once; None: that of each step.
        dropout: share 0..1 of the tokens that keep their own queries (appendix B.13).
        match_values: values are given the moments of the source's (appendix A.1.1).
    """

    layers: Sequence[int]
    steps: Sequence[int]
    at: int | None = None
    dropout: float = 0.0
    match_values: bool = False

    @property
    def looks(self) -> int:
        """Forward passes over the source."""
        return 0 if not self.steps else 1 if self.at is not None else len(self.steps)


@dataclass(frozen=True)
class Source:
    """The clip whose motion is taken over.

    Attributes:
        clean: (1, C, T', H', W') its latents.
        noise: the same shape; one noise for all levels (section 3).
        text: (1, L, D) what is read while it is looked at.
    """

    clean: Tensor
    noise: Tensor
    text: Tensor


class Injection:
    """Call `before` ahead of each denoising step; made by `injecting`."""

    def __init__(
        self,
        backbone: Backbone,
        source: Source,
        schedule: Schedule,
        wanted: Transfer,
        queries: Replacing,
        values: Moments | None,
        seed: int,
    ) -> None:
        self._backbone, self._source, self._schedule, self._wanted = backbone, source, schedule, wanted
        self._queries, self._values = queries, values
        self._layout: TokenLayout = backbone.tokens(source.clean)
        self._seen: dict[int, Tensor] = {}
        self._draw = torch.Generator().manual_seed(seed)

    def before(self, step: int) -> None:
        """Look at the source if it is due, and switch the replacing on or off for `step`."""
        wanted = self._wanted
        on = step in wanted.steps
        if on and (wanted.at is None or not self._seen):
            self._look(step if wanted.at is None else wanted.at)
        if on and (wanted.dropout or wanted.at is None or step == wanted.steps[0]):
            masks = {count: self._mask(count) for count in sorted({query.shape[1] for query in self._seen.values()})}
            for layer, query in self._seen.items():
                self._queries.write(layer, query, masks[query.shape[1]], CONDITIONAL)
        self._switch(on)

    def _look(self, index: int) -> None:
        """One conditional pass over the noised source, as far as the last layer that is wanted."""
        self._switch(False)
        noisy = self._schedule.level(index).mix(self._source.clean.float(), self._source.noise.float()).to(self._source.clean.dtype)
        blocks, layers = self._backbone.blocks(), self._wanted.layers
        forward = partial(self._backbone.denoise, noisy, self._schedule.timesteps[index], self._source.text)
        with ExitStack() as stack, torch.no_grad():
            queries = stack.enter_context(recording(blocks, "query", self._layout, layers=layers))
            values = stack.enter_context(recording(blocks, "value", self._layout, layers=layers)) if self._values else None
            forward_until(blocks[max(layers)], forward)
            self._seen = {layer: self._video(queries.latest(layer)) for layer in layers}
            if values:
                for layer in layers:
                    self._values.set(layer, self._video(values.latest(layer)))

    def _video(self, tokens: Tensor) -> Tensor:
        return tokens[:, self._layout.text :]

    def _mask(self, count: int) -> float | Tensor:
        """1 for those of `count` tokens whose query is replaced; anew at every step, the same in all layers with so many."""
        if not self._wanted.dropout:
            return 1.0
        return (torch.rand(count, generator=self._draw) >= self._wanted.dropout).float()

    def _switch(self, on: bool) -> None:
        self._queries.switch(on)
        if self._values:
            self._values.switch(on)


@contextmanager
def injecting(
    backbone: Backbone, source: Source, schedule: Schedule, wanted: Transfer, *, rows: int, seed: int = 0
) -> Iterator[Injection | None]:
    """Within, the conditional half of each pass moves as `source` does, at the steps that are wanted; None where there are none.

    Args:
        rows: of a forward pass: 2 with guidance, else 1.
        seed: of the dropout.
    """
    if not wanted.steps:
        yield None
        return
    blocks, layout = backbone.blocks(), backbone.tokens(source.clean)
    with ExitStack() as stack:
        queries = stack.enter_context(replacing(blocks, "query", layout, layers=wanted.layers, steps=(), rows=rows))
        values = stack.enter_context(restating(blocks, "value", layout, layers=wanted.layers)) if wanted.match_values else None
        yield Injection(backbone, source, schedule, wanted, queries, values, seed)


def nearest_step(timesteps: Sequence[float], level: float) -> int:
    """The step whose timestep, 0..1000, is next to `level`."""
    return min(range(len(timesteps)), key=lambda index: abs(timesteps[index] - level))
