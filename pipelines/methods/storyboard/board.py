"""The whole board: all shots step by step as long as they see each other, then one group after the other to its end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipelines.attention.edits import recording
from pipelines.attention.maps import find_tokens
from pipelines.events import Event, Preview, Progress
from pipelines.methods.storyboard.company import Bank, Company, Fixed, partners_of
from pipelines.methods.storyboard.kept import Kept
from pipelines.methods.storyboard.masks import Segment, mask_of_estimate
from pipelines.methods.storyboard.plan import anchors_of, drawn
from pipelines.methods.storyboard.request import StoryboardRequest
from pipelines.methods.storyboard.takes import Branch, Take, Wanted, wanted_of

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


@dataclass(frozen=True)
class Finished:
    """A shot that is done.

    Attributes:
        number: from 0.
        frames: (T, H, W, 3) uint8; alone: the same drawn without the other shots.
    """

    number: int
    frames: np.ndarray
    alone: np.ndarray


def draw_board(
    backbone: Backbone, request: StoryboardRequest, words: Sequence[str], character: str, segment: Segment | None, kept: Kept | None = None
) -> Iterator[Event | Finished]:
    """Draw the shots of `request`, which fits the model and has all its seeds.

    Yields Progress; per step and shot the Previews "shot 1" (its estimate at latent size), "shot 1, alone" as soon as that is
    another, and "shot 1, character" (its mask on the token grid); and a Finished for each wanted shot as soon as it is done.

    Args:
        words: the prompt of each shot, which name the `character` so.
        segment: finds the character; None finds it by attention.
        kept: where an unfinished board is kept; goes on from what is there.
    """
    if len(request.shots) == 1:
        yield from _plainly(backbone, request, words, character)
        return
    kept, takes = kept or Kept(None, request), take_all(backbone, request, words, character)
    wanted = wanted_of(request, backbone, takes[0].alone.schedule.timesteps.tolist())
    three = request.passes == "three" and bool(wanted.refine)
    pace = _Pace((1 + three) * len(takes) * request.steps)
    done, second, fixed = kept.restore(takes)
    if three and not second:
        first = Company(backbone, request, wanted.without_refinement(), segment)
        yield from _in_company(first, takes, pace, kept, done)
        yield from _to_the_end(first, takes, pace)
        fixed = match_finished(backbone, request, takes, wanted, segment)
        takes, done = take_all(backbone, request, words, character), 0
    company = Company(backbone, request, wanted, segment, fixed)
    yield from _in_company(company, takes, pace, kept, done)
    for event in _to_the_end(company, takes, pace, kept):
        yield event
        if isinstance(event, Finished):
            kept.finish(event)


class _Pace:
    """Steps of shots that are done, of all that will be."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.skipped, self.started = total, 0, 0, time.perf_counter()

    def skip(self, count: int) -> None:
        """So many were done before."""
        self.done, self.skipped = self.done + count, self.skipped + count

    def progress(self, count: int) -> Progress:
        """So many more are done."""
        self.done += count
        pace = (time.perf_counter() - self.started) / (self.done - self.skipped)
        return Progress("denoising", self.done, self.total, pace * (self.total - self.done))


def take_all(backbone: Backbone, request: StoryboardRequest, words: Sequence[str], character: str) -> list[Take]:
    """The shots that have to be drawn, at pure noise, anchors first."""
    anchors = anchors_of(request)
    numbers = [*anchors, *(number for number in drawn(request) if number not in anchors)]
    empty = backbone.encode_text([request.negative_prompt])
    return [_take(backbone, request, number, words[number], character, empty) for number in numbers]


def _take(backbone: Backbone, request: StoryboardRequest, number: int, words: str, character: str, empty: Tensor) -> Take:
    seed = request.shots[number].seed
    noise = backbone.initial_noise(request.frames, request.height, request.width, seed)
    tokens = find_tokens(backbone.pipeline.tokenizer, words, character)
    alone = Branch(noise, backbone.schedule(request.steps, noise, seed))
    return Take(number, seed, backbone.encode_text([words]), empty, tokens, alone)


def _groups(takes: list[Take], together: int) -> list[list[Take]]:
    """The two anchors, and the others so many at a time."""
    return [takes[:2], *(takes[at : at + together] for at in range(2, len(takes), together))]


def _in_company(company: Company, takes: list[Take], pace: _Pace, kept: Kept, done: int) -> Iterator[Event]:
    """The steps in which shots see each other, from step `done` on."""
    bank, groups = Bank(), _groups(takes, company.request.together)
    pace.skip(done * len(takes))
    for index in range(done, company.wanted.last + 1):
        for group in groups:
            company.step(group, index, bank, anchors=group is groups[0])
            yield from _views(company.backbone, group, index)
            yield pace.progress(len(group))
        kept.save(takes, index + 1, company.fixed is not None, company.fixed, now=index == company.wanted.last)


def _to_the_end(company: Company, takes: list[Take], pace: _Pace, kept: Kept | None = None) -> Iterator[Event | Finished]:
    """All other steps, one group after the other; with `kept`, those shots that are wanted are decoded."""
    backbone, request, bank = company.backbone, company.request, Bank()
    for group in _groups(takes, request.together):
        asked = [take for take in group if not (kept and request.only) or take.number in request.only]
        before = [kept.finished(take.number) if kept else None for take in asked]
        if kept and all(before):
            yield from before
            pace.skip(len(group) * (request.steps - company.wanted.last - 1))
            continue
        for index in range(company.wanted.last + 1, request.steps):
            company.step(asked, index, bank, anchors=False)
            yield from _views(backbone, asked, index)
            yield pace.progress(len(group))
        for take in asked if kept else ():
            yield Progress(f"decoding shot {take.number + 1}")
            yield Finished(take.number, *(backbone.decode_video(branch.latents) for branch in (take.ours or take.alone, take.alone)))


def _views(backbone: Backbone, takes: Sequence[Take], index: int) -> Iterator[Preview]:
    for take in takes:
        name = f"shot {take.number + 1}"
        yield Preview("frames", name, index, backbone.preview(take.estimate))
        if take.ours is not None:
            yield Preview("frames", f"{name}, alone", index, backbone.preview(take.alone_estimate))
        if take.mask is not None:
            yield Preview("mask", f"{name}, character", index, take.mask.float().cpu().numpy())


def _plainly(backbone: Backbone, request: StoryboardRequest, words: Sequence[str], character: str) -> Iterator[Event | Finished]:
    """A board of one shot: nothing is shared and nothing is edited."""
    empty, pace = backbone.encode_text([request.negative_prompt]), _Pace(request.steps)
    take = _take(backbone, request, 0, words[0], character, empty)
    for index, timestep in enumerate(take.alone.schedule.timesteps):
        with torch.no_grad():
            prediction = backbone.guided(take.alone.latents, timestep, take.text, take.empty, request.guidance)
            take.estimate = take.alone.clean(prediction, index)
            take.alone.step(prediction, index)
        yield from _views(backbone, [take], index)
        yield pace.progress(1)
    frames = backbone.decode_video(take.alone.latents)
    yield Finished(0, frames, frames)


@torch.no_grad()
def match_finished(backbone: Backbone, request: StoryboardRequest, takes: list[Take], wanted: Wanted, segment: Segment | None) -> Fixed:
    """Partners by the features of finished clips under a little noise (DIFT, Tang et al. 2023), on the grids of the refined layers."""
    matching, quickly = wanted.matching, request.masks == "preview"
    blocks, schedule = backbone.blocks(), backbone.schedule(request.steps, takes[0].alone.latents)
    timesteps = schedule.timesteps.tolist()
    at = min(range(len(timesteps)), key=lambda index: abs(timesteps[index] - request.matching_level))
    for take in takes:
        clean = (take.ours or take.alone).latents
        layout = backbone.tokens(clean)
        noise = backbone.initial_noise(request.frames, request.height, request.width, take.seed)
        if segment:
            take.mask = mask_of_estimate(backbone, clean, segment, request.prompt, layout.grid, quickly=quickly)
        with recording(blocks, "key", layout, layers=[matching]) as said:
            backbone.denoise(schedule.level(at).mix(clean.float(), noise.float()).to(clean.dtype), schedule.timesteps[at], take.text)
            own = blocks[matching].tokens(layout)
            take.features = said.latest(matching)[0, own.text :].unflatten(0, own.grid)
    anchors, found = takes[:2], {}
    grids = {blocks[layer].tokens(backbone.tokens(takes[0].alone.latents)).grid for layer in wanted.refined}
    for take in takes:
        others = [anchor for anchor in anchors if take not in anchors or anchor is not take]
        found |= {(take.number, grid): partners_of(take, others, grid) for grid in grids}
    return found
