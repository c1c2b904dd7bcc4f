"""The reference branch of V-Warper, run once: its features are recorded while the reference is inverted.

At step t of a reference branch the model would see (x_t, t) of the inverted trajectory; the inversion makes just these forward
passes, so what it records stands for that branch and saves one forward pass of three per step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from pipelines.attention.edits import Recording, recording
from pipelines.attention.maps import scale, text_maps
from pipelines.backbones.inversion import invert
from pipelines.backbones.layout import TokenLayout, What
from pipelines.events import Progress

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


Descriptor = Literal["plain", "rotated", "output"]
"""What is matched: queries and keys before RoPE (the paper's choice), after it, or what the attention layer gives out, as unit vectors."""


STRIDE = 4
"""Below the window of steps the trajectory passes through one level in so many: close to the picture it hardly bends."""


@dataclass(frozen=True)
class Wanted:
    """What of a branch is needed.

    Attributes:
        descriptor: which features are matched.
        descriptor_layer: of which layer.
        value_layers: whose values are warped.
        steps: at which steps; descriptors are needed at these and at each step before.
        keys: whether the keys of those layers are needed too.
        stride: below these steps one level in so many is passed through; 1 passes through all.
    """

    descriptor: Descriptor
    descriptor_layer: int
    value_layers: Sequence[int]
    steps: Collection[int]
    keys: bool = False
    stride: int = STRIDE

    @property
    def descriptor_steps(self) -> frozenset[int]:
        """Each step's own and the one before it."""
        return frozenset(self.steps) | {max(step - 1, 0) for step in self.steps}

    def passed(self, steps: int) -> list[int]:
        """Steps of a schedule of `steps` whose levels the inversion passes through: none above what is needed, few below it."""
        needed = self.descriptor_steps
        return [*range(min(needed), max(needed) + 1), *range(max(needed) + self.stride, steps, self.stride)] if needed else []


@dataclass(frozen=True)
class Features:
    """What tokens are matched by: (N, C) each, video tokens only."""

    query: Tensor
    key: Tensor


@dataclass(frozen=True)
class Reference:
    """What the reference branch says.

    Attributes:
        features: step -> descriptors.
        values: (step, layer) -> (N, C) of the video tokens.
        keys: the same, after RoPE; empty unless wanted.
        attention: (T', h, w) 0..1 map of the subject's word, mean over steps; None unless keys are wanted.
    """

    features: dict[int, Features]
    values: dict[tuple[int, int], Tensor]
    keys: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    attention: Tensor | None = None


class Describing:
    """Records the descriptors of a branch; made by `describing`."""

    def __init__(self, backbone: Backbone, parts: Sequence[Recording], wanted: Wanted) -> None:
        self._backbone, self._parts, self._wanted = backbone, parts, wanted

    def latest(self, latents: Tensor) -> Features:
        """Of the last forward pass, over `latents`, its conditional half."""
        parts = [part.latest(self._wanted.descriptor_layer) for part in self._parts]
        if self._wanted.descriptor == "rotated":
            parts = [self._backbone.rotate(part, latents[:1]) for part in parts]
        if self._wanted.descriptor == "output":
            parts = [F.normalize(part.float(), dim=-1) for part in parts]
        text = self._backbone.tokens(latents).text
        return Features(parts[0][0, text:], parts[-1][0, text:])


@contextmanager
def describing(backbone: Backbone, layout: TokenLayout, wanted: Wanted) -> Iterator[Describing]:
    """Within, the descriptors of the last forward pass are at hand."""
    names: tuple[What, ...] = ("output",) if wanted.descriptor == "output" else ("query", "key")
    with ExitStack() as stack:
        parts = [stack.enter_context(recording(backbone.blocks(), name, layout, layers=[wanted.descriptor_layer])) for name in names]
        yield Describing(backbone, parts, wanted)


def reference_clip(picture: np.ndarray, frames: int) -> np.ndarray:
    """(T, H, W, 3): the picture (H, W, 3) repeated (V-Warper, section 4.3)."""
    return np.repeat(picture[None], frames, 0)


def record_reference(
    backbone: Backbone, clean: Tensor, steps: int, text: Tensor, wanted: Wanted, tokens: Sequence[int] = ()
) -> Iterator[Progress | Reference]:
    """Invert `clean` (1, C, T', H', W') along a schedule of `steps`, as far as `wanted` asks: Progress, and last the Reference.

    Args:
        text: (1, L, D) of the prompt that describes the reference.
        tokens: positions of the subject's word in it; needed where keys are wanted.
    """
    layout, schedule, blocks = backbone.tokens(clean), backbone.schedule(steps, clean), backbone.blocks()
    features: dict[int, Features] = {}
    passed = wanted.passed(steps)
    with ExitStack() as stack:
        described = stack.enter_context(describing(backbone, layout, wanted))
        kept = {"values": stack.enter_context(recording(blocks, "value", layout, layers=wanted.value_layers, steps=wanted.steps))}
        maps = None
        if wanted.keys:
            kept["keys"] = stack.enter_context(recording(blocks, "key", layout, layers=wanted.value_layers, steps=wanted.steps))
            maps = stack.enter_context(text_maps(backbone, clean, tokens, layers=wanted.value_layers))
        for done, (index, _) in enumerate(invert(backbone, clean, schedule, text, passed), start=1):
            for part in kept.values():
                part.keep(index)
            if maps:
                maps.add(clean)
            if index in wanted.descriptor_steps:
                features[index] = described.latest(clean)
            yield Progress("inverting the reference", done, len(passed))
        values = {where: value[0, layout.text :] for where, value in kept["values"].kept.items()}
        keys = {where: backbone.rotate(key, clean)[0, layout.text :] for where, key in kept["keys"].kept.items()} if wanted.keys else {}
        yield Reference(features, values, keys, scale(maps.mean())[0] if maps else None)
