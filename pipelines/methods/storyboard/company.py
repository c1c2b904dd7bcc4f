"""Shots in company: one denoising step of a group of shots, alone and then with what they share (Motion by Queries, appendix B)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipelines.attention.edits import Recording, recording, replacing
from pipelines.attention.extended import Shown, extended, extended_in_frames, shown_of, together
from pipelines.attention.flowing import flow_of
from pipelines.attention.gathering import gathering
from pipelines.attention.maps import TextMaps, scale, text_maps
from pipelines.attention.sharing import sharing
from pipelines.methods.storyboard.masks import Segment, above_otsu, mask_of_estimate
from pipelines.methods.storyboard.refinement import Partners, mask_on_grid, on_grid, partners
from pipelines.methods.storyboard.request import StoryboardRequest
from pipelines.methods.storyboard.takes import Take, Wanted, kept_tokens

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone
    from pipelines.backbones.layout import AttentionBlock, TokenLayout


Fixed = Mapping[tuple[int, tuple[int, int, int]], Partners]
"""(number of a shot, grid of a layer) -> its partners."""


@dataclass
class Bank:
    """What the anchors say at the step at hand, for all other shots.

    Attributes:
        shown: layer -> tokens of their characters.
        outputs: layer -> (rows, A * N, channels) outputs of all their video tokens, rows being the halves of the guidance.
        anchors: themselves, for their masks and features.
    """

    shown: dict[int, Shown] = field(default_factory=dict)
    outputs: dict[int, Tensor] = field(default_factory=dict)
    anchors: list[Take] = field(default_factory=list)


class Company:
    """Takes steps with groups of shots.

    Args:
        segment: finds the character in pictures; None finds it by attention.
        fixed: partners that were found beforehand; None finds them at every step.
    """

    def __init__(
        self, backbone: Backbone, request: StoryboardRequest, wanted: Wanted, segment: Segment | None, fixed: Fixed | None = None
    ) -> None:
        self.backbone, self.request, self.wanted, self.segment, self.fixed = backbone, request, wanted, segment, fixed
        self.halves = 2 if request.guidance > 1 else 1

    @torch.no_grad()
    def step(self, takes: Sequence[Take], index: int, bank: Bank, *, anchors: bool) -> None:
        """Take step `index` with `takes`; those are the anchors, whose words fill `bank`, or shots that are given what it holds."""
        queries = self._alone(takes, index)
        if self.wanted.first is None or index < self.wanted.first:
            return
        self._find(takes, index)
        if anchors:
            bank.anchors = list(takes)
        self._together(takes, index, queries, bank, anchors)

    def _alone(self, takes: Sequence[Take], index: int) -> dict[int, Tensor]:
        """The step of the shots drawn alone; layer -> their queries (rows, N, C), where those are needed."""
        backbone, wanted = self.backbone, self.wanted
        starts = wanted.first is not None and index >= wanted.first
        if starts:
            for take in takes:
                take.ours = take.ours or take.alone.copy()
        latents = torch.cat([take.alone.latents for take in takes])
        layout, blocks = backbone.tokens(latents), backbone.blocks()
        with ExitStack() as stack:
            said = keys = maps = None
            if starts and index in wanted.keep | wanted.flow:
                said = stack.enter_context(recording(blocks, "query", layout, rows=self.halves * len(takes)))
            if starts and index in wanted.refine and self.fixed is None:
                keys = stack.enter_context(recording(blocks, "key", layout, layers=[wanted.matching], rows=len(takes)))
            if self.segment is None and index <= wanted.last:
                maps = stack.enter_context(text_maps(backbone, latents, takes[0].tokens, rows=len(takes)))
            prediction = self._guided(latents, takes, takes[0].alone.schedule.timesteps[index])
            self._look(takes, maps, latents)
            for take, row in zip(takes, keys.latest(wanted.matching) if keys else [], strict=bool(keys)):
                own = blocks[wanted.matching].tokens(layout)
                take.features = row[own.text :].unflatten(0, own.grid)
            queries = {layer: said.latest(layer) for layer in said.layers} if said else {}
        for take, part in zip(takes, prediction.split(1), strict=True):
            take.alone_estimate = take.alone.clean(part, index)
            if take.ours is None or index == wanted.first:
                take.estimate = take.alone_estimate
            take.alone.step(part, index)
        return queries

    def _guided(self, latents: Tensor, takes: Sequence[Take], timestep: Tensor) -> Tensor:
        text, empty = (torch.cat([getattr(take, name) for take in takes]) for name in ("text", "empty"))
        return self.backbone.guided(latents, timestep, text, empty, self.request.guidance)

    def _look(self, takes: Sequence[Take], maps: TextMaps | None, latents: Tensor) -> None:
        """Masks from the attention to the character's words, mean over the steps so far."""
        if maps is None:
            return
        for take, seen in zip(takes, maps.add(latents), strict=True):
            take.attention = seen if take.attention is None else take.attention + seen
            take.mask = above_otsu(scale(take.attention[None])[0], tuple(seen.shape))

    def _find(self, takes: Sequence[Take], index: int) -> None:
        """Masks from the estimates of the clips, if they are due."""
        first, every = self.wanted.first, self.request.masks_every
        if self.segment is None or index > self.wanted.last or (index - first) % every:
            return
        quickly = self.request.masks == "preview"
        for take in takes:
            grid = self.backbone.tokens(take.alone.latents).grid
            take.mask = mask_of_estimate(self.backbone, take.estimate, self.segment, self.request.prompt, grid, quickly=quickly)

    def _together(self, takes: Sequence[Take], index: int, queries: dict[int, Tensor], bank: Bank, anchors: bool) -> None:
        """The step of the shots in company."""
        wanted, latents = self.wanted, torch.cat([take.ours.latents for take in takes])
        with ExitStack() as stack:
            if index in wanted.keep:
                stack.enter_context(self._keeping(takes, index, latents, queries))
            elif index in wanted.flow:
                stack.enter_context(self._flowing(takes, index, latents, queries))
            if index in wanted.share and (len(takes) > 1 or not anchors):
                stack.enter_context(self._sharing(takes, bank, anchors))
            said = stack.enter_context(self._refining(takes, latents, bank, anchors)) if index in wanted.refine else None
            prediction = self._guided(latents, takes, takes[0].ours.schedule.timesteps[index])
            if said:
                text = self.backbone.tokens(latents).text
                bank.outputs = {layer: self._by_half(said.latest(layer)[:, text:]) for layer in said.layers}
        for take, part in zip(takes, prediction.split(1), strict=True):
            take.estimate = take.ours.clean(part, index)
            take.ours.step(part, index)

    @contextmanager
    def _keeping(self, takes: Sequence[Take], index: int, latents: Tensor, queries: dict[int, Tensor]) -> Iterator[None]:
        """Q preservation: the queries of the shots drawn alone."""
        backbone, rows = self.backbone, self.halves * len(takes)
        layout = backbone.tokens(latents)
        with replacing(backbone.blocks(), "query", layout, rows=rows, bank_rows=rows) as edit:
            for layer, query in queries.items():
                text = backbone.blocks()[layer].tokens(layout).text
                edit.write(layer, query[:, text:], self._left(takes, index, query.shape[1] - text))
            yield

    @contextmanager
    def _flowing(self, takes: Sequence[Take], index: int, latents: Tensor, queries: dict[int, Tensor]) -> Iterator[None]:
        """Q flow: the own queries, moved as those of the shots drawn alone."""
        backbone, request = self.backbone, self.request
        layout, rows = backbone.tokens(latents), self.halves * len(takes)
        with gathering(backbone.blocks(), "query", layout, rows=rows, sources=2) as edit:
            for layer, query in queries.items():
                own = backbone.blocks()[layer].tokens(layout)
                flow = flow_of(query[:, own.text :], own.grid, request.keyframes, request.flow_weight)
                edit.write(layer, flow.index, flow.weight, self._left(takes, index, own.video))
            yield

    def _left(self, takes: Sequence[Take], index: int, count: int) -> Tensor:
        """(rows, N) 1 for tokens whose query is edited."""
        device = takes[0].alone.latents.device
        return torch.stack([kept_tokens(self.request.dropout, count, take.seed, index, device) for take in takes]).repeat(self.halves, 1)

    @contextmanager
    def _sharing(self, takes: Sequence[Take], bank: Bank, anchors: bool) -> Iterator[None]:
        """Framewise subject-driven self-attention: anchors see each other, and the others see them."""
        backbone = self.backbone
        layout, blocks = backbone.tokens(takes[0].alone.latents), backbone.blocks()
        if anchors:
            bank.shown.clear()
        with sharing(backbone, range(len(blocks))) as state:
            for layer in state.layers:
                if anchors:
                    state.set(layer, partial(self._between, blocks[layer], layout, takes, bank))
                else:
                    state.set(layer, partial(self._seeing, blocks[layer], layout, bank.shown[layer]))
            yield

    def _seeing(self, block: AttentionBlock, layout: TokenLayout, shown: Shown, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """What a layer says of rows that are shown something."""
        request, own = self.request, block.tokens(layout)
        how = {"framewise": request.sharing == "framewise", "weight": request.share_weight}
        if block.folded:
            return extended_in_frames(query, key, value, shown, own.frames, **how)
        return extended(query, key, value, shown, own.text, own.frames, **how)

    def _between(
        self, block: AttentionBlock, layout: TokenLayout, takes: Sequence[Take], bank: Bank, query: Tensor, key: Tensor, value: Tensor
    ) -> Tensor:
        """What a layer says of two anchors that see each other; their tokens go to the bank."""
        own = block.tokens(layout)
        text, frames = own.text, own.frames if block.folded else 0
        parts = [[self._of_take(part, at, len(takes)) for part in (query, key, value)] for at in range(len(takes))]
        shown = [
            shown_of(_video(key, text, frames), _video(value, text, frames), mask_on_grid(take.mask, own.grid))
            for take, (_, key, value) in zip(takes, parts, strict=True)
        ]
        bank.shown[block.index] = together(shown)
        said = [self._seeing(block, layout, shown[1 - at], *part) for at, part in enumerate(parts)]
        return torch.stack([part.unflatten(0, (self.halves, -1)) for part in said], 1).flatten(0, 2)

    def _of_take(self, part: Tensor, at: int, count: int) -> Tensor:
        """The rows of one of `count` clips, halves of the guidance outermost."""
        return part.unflatten(0, (self.halves, count, -1))[:, at].flatten(0, 1)

    @contextmanager
    def _refining(self, takes: Sequence[Take], latents: Tensor, bank: Bank, anchors: bool) -> Iterator[Recording | None]:
        """Refinement injection on both halves of the guidance; yields the recording of the anchors' outputs, None for other shots."""
        backbone, layers = self.backbone, self.wanted.refined
        layout, blocks, rows = backbone.tokens(latents), backbone.blocks(), self.halves * len(takes)
        pool, banked = ("partner", 1) if anchors else ("bank", len(bank.anchors))
        if anchors and len(takes) < 2:
            with recording(blocks, "output", layout, layers=layers, rows=rows) as said:
                yield said
            return
        with ExitStack() as stack:
            edit = stack.enter_context(gathering(blocks, "output", layout, rows=rows, layers=layers, pool=pool, banked=banked))
            for layer in layers:
                own = blocks[layer].tokens(layout)
                found = [self._partners(take, own.grid, bank, anchors) for take in takes]
                index = torch.stack([part.index for part in found])[:, None].repeat(self.halves, 1, 1)
                gate = torch.stack([part.near for part in found]).repeat(self.halves, 1) * self.request.refine_strength
                edit.write(layer, index, 1.0, gate, None if anchors else bank.outputs[layer].repeat_interleave(len(takes), 0))
            yield stack.enter_context(recording(blocks, "output", layout, layers=layers, rows=rows)) if anchors else None

    def _partners(self, take: Take, grid: tuple[int, int, int], bank: Bank, anchors: bool) -> Partners:
        """Of a shot's tokens on this grid: those of the other anchor, or of both."""
        if self.fixed is not None:
            return self.fixed[take.number, grid]
        others = [anchor for anchor in bank.anchors if not (anchors and anchor.number == take.number)]
        return partners_of(take, others, grid)

    def _by_half(self, said: Tensor) -> Tensor:
        """Rows of halves and clips -> (halves, clips * N, C)."""
        return said.unflatten(0, (self.halves, -1)).flatten(1, 2)


def partners_of(take: Take, others: Sequence[Take], grid: tuple[int, int, int]) -> Partners:
    """Partners of a shot's tokens on a layer's grid, by the features and masks at hand."""
    features = [on_grid(part.features, grid) for part in (take, *others)]
    masks = [mask_on_grid(part.mask, grid) for part in (take, *others)]
    return partners(features[0], masks[0], features[1:], masks[1:])


def _video(part: Tensor, text: int, frames: int) -> Tensor:
    """(rows, heads, T' * h * w, d) of what a layer attends with; `frames` where they lie in the batch."""
    if frames:
        return part.unflatten(0, (-1, frames)).transpose(1, 2).flatten(2, 3)
    return part[:, :, text:]
