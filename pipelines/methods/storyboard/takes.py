"""A shot in the making, and what of the settings is due at which step."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipelines.attention.windows import Window
from pipelines.backbones.schedule import Schedule
from pipelines.methods.storyboard.request import StoryboardRequest

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


@dataclass
class Branch:
    """One denoising: latents (1, C, T', H', W') and the walk they are on."""

    latents: Tensor
    schedule: Schedule

    def copy(self) -> Branch:
        """Another from here on."""
        return Branch(self.latents.clone(), deepcopy(self.schedule))

    def clean(self, prediction: Tensor, index: int) -> Tensor:
        """The estimate of x0."""
        return self.schedule.clean(prediction, index, self.latents)

    def step(self, prediction: Tensor, index: int) -> None:
        """Go to the next level."""
        self.latents = self.schedule.step(prediction, index, self.latents)


@dataclass
class Take:
    """A shot in the making.

    Attributes:
        number: its place in the board, from 0.
        seed: of its noise.
        text, empty: (1, L, D) states of its prompt and of the negative one.
        tokens: positions of the character's words in the prompt.
        alone: drawn without the others; ours: in their company, None as long as both are the same.
        estimate: of its clean latents, the newest; alone_estimate: the same drawn alone.
        mask: (T', h, w) bool where the character is, once that was asked.
        attention: (T', h, w) sum of the maps of its words over the steps, where masks come from them.
        features: (T', h, w, C) its parts are matched by, of the step at hand.
    """

    number: int
    seed: int
    text: Tensor
    empty: Tensor
    tokens: list[int]
    alone: Branch
    ours: Branch | None = None
    estimate: Tensor | None = None
    alone_estimate: Tensor | None = None
    mask: Tensor | None = None
    attention: Tensor | None = None
    features: Tensor | None = None


@dataclass(frozen=True)
class Wanted:
    """The settings as numbers of this model and schedule.

    Attributes:
        share, refine, keep, flow: steps at which it is done.
        refined: layers whose outputs are blended.
        matching: layer whose keys tell which part is which.
    """

    share: frozenset[int]
    refine: frozenset[int]
    keep: frozenset[int]
    flow: frozenset[int]
    refined: tuple[int, ...] = ()
    matching: int = 0

    @property
    def first(self) -> int | None:
        """The step at which shots begin to differ from those drawn alone; None: never."""
        return min(self.share | self.refine, default=None)

    @property
    def last(self) -> int:
        """The last step at which shots see each other; -1 where they never do."""
        return max(self.share | self.refine, default=-1)

    def without_refinement(self) -> Wanted:
        """The same as the second of three passes."""
        return replace(self, refine=frozenset())


def wanted_of(request: StoryboardRequest, backbone: Backbone, timesteps: Sequence[float]) -> Wanted:
    """What `request` asks for, on a schedule with these timesteps."""
    depth, steps = len(backbone.blocks()), range(len(timesteps))

    def between(low: float, high: float, wanted: bool) -> frozenset[int]:
        return frozenset(step for step in steps if low <= timesteps[step] <= high) if wanted else frozenset()

    keep = frozenset(step for step in steps if timesteps[step] >= request.keep_until)
    return Wanted(
        share=between(request.share_until, request.share_from, request.sharing != "off"),
        refine=between(request.refine_until, request.refine_from, request.refine and request.refine_strength > 0),
        keep=keep if request.keep_queries else frozenset(),
        flow=frozenset(steps) - keep if request.flow_queries else frozenset(),
        refined=tuple(Window("layers", request.refine_first, request.refine_last).layers(depth)),
        matching=Window("layers", request.matching_layer, request.matching_layer).layers(depth)[0],
    )


def kept_tokens(share: float, count: int, seed: int, step: int, device: torch.device | str) -> Tensor:
    """(N,) 1 for tokens whose query is edited; the others are dropped (appendix B.13). The same however shots are grouped."""
    if not share:
        return torch.ones(count, device=device)
    draw = torch.Generator().manual_seed((seed * 1009 + step) % 2**63)
    return (torch.rand(count, generator=draw) >= share).float().to(device)
