"""A clip of a known subject: the denoising loop of V-Warper, with everything that decides what is injected on view."""

from __future__ import annotations

import time
from collections.abc import Generator, Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipelines.attention.correspondence import flow, positions, warp
from pipelines.attention.maps import find_tokens
from pipelines.attention.windows import Window, layer_window, step_window
from pipelines.events import Event, Preview, Progress
from pipelines.methods.appearance_warping.injection import How, Seen, Trust, injecting
from pipelines.methods.appearance_warping.reference import STRIDE, Descriptor, Reference, Wanted, record_reference, reference_clip
from pipelines.methods.appearance_warping.remembered import recall, remember
from pipelines.methods.subject_adaptation.pictures import fit
from pipelines.methods.subject_adaptation.subject import Subject
from pipelines.methods.subject_adaptation.train import TEMPLATES

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


DENOISING = 2.2
"""Time of a guided denoising step in steps of the inversion, until it is measured."""


@dataclass(frozen=True)
class Fine:
    """Settings of the injection; defaults are the paper's (sections 4.3 and 5.1), as shares of depth and schedule.

    Attributes:
        inject: off: the adapted model alone.
        how: values warped, or one of the ways it is compared with.
        trust: the masks.
        descriptor, matching: which features are matched, of which layer.
        values: layers whose values are warped.
        steps: denoising steps at which they are.
        whole_reference: a reference frame for every frame of the clip (the paper), or a single one, which costs less.
        stride: of the inversion below those steps, see `Wanted`.
    """

    inject: bool = True
    how: How = "warp"
    trust: Trust = field(default_factory=Trust)
    descriptor: Descriptor = "plain"
    matching: Window = field(default_factory=lambda: layer_window(12, 12, of=42))
    values: Window = field(default_factory=lambda: layer_window(20, 29, of=42))
    steps: Window = field(default_factory=lambda: step_window(3, 19, of=50))
    whole_reference: bool = True
    stride: int = STRIDE


@dataclass(frozen=True)
class Clip:
    """What is to be drawn: prompt with the subject's token, pixels, frames, steps, guidance, seed."""

    prompt: str
    height: int
    width: int
    frames: int
    steps: int
    guidance: float
    seed: int
    negative_prompt: str = ""


def draw_subject(
    backbone: Backbone, subject: Subject, picture: np.ndarray, clip: Clip, fine: Fine, weights: Hashable = None
) -> Iterator[Event | Tensor]:
    """Draw `clip` on a backbone that knows `subject` (see `adapted`), injecting the appearance of `picture` (H, W, 3) uint8.

    Yields Progress and Preview, and last the latents (1, C, T', H', W'). Where something is injected, the first Preview is the
    picture itself, cut as the model sees it. `weights` stands for those of the subject: with it, a reference that was inverted
    before is not inverted again.
    """
    text, empty = backbone.encode_text([clip.prompt, clip.negative_prompt]).chunk(2)
    latents = backbone.initial_noise(clip.frames, clip.height, clip.width, clip.seed)
    schedule = backbone.schedule(clip.steps, latents, clip.seed)
    shown = fit(picture, clip.height, clip.width)
    wanted = what_is_wanted(backbone, fine, schedule.timesteps.tolist())
    reference = Reference({}, {})
    if fine.inject:
        yield Preview("frames", "reference", 0, shown[None])
        whole = (weights, shown.shape, shown.tobytes(), clip.frames if fine.whole_reference else 1, clip.steps, wanted)
        key = None if weights is None else whole
        reference = recall(backbone, key) or (yield from inverted(backbone, subject, shown, clip, fine, wanted))
        remember(backbone, key, reference)
    tokens = find_tokens(backbone.pipeline.tokenizer, clip.prompt, subject.token)
    started, total = time.perf_counter(), len(schedule)
    with injecting(backbone, latents, tokens, reference, wanted, fine.trust, 2 if clip.guidance > 1 else 1, fine.how) as injection:
        for index, timestep in enumerate(schedule.timesteps):
            with torch.no_grad():
                if injection.needs_look(index):
                    backbone.guided(latents, timestep, text, empty, clip.guidance)
                    injection.after(latents)
                seen = injection.before(index, latents)
                prediction = backbone.guided(latents, timestep, text, empty, clip.guidance)
                injection.after(latents)
                picture_now = backbone.preview(schedule.clean(prediction, index, latents))
                latents = schedule.step(prediction, index, latents)
            yield Preview("frames", "denoised", index, picture_now)
            if seen:
                yield from views(seen, shown, index)
            pace = (time.perf_counter() - started) / (index + 1)
            yield Progress("denoising", index + 1, total, pace * (total - index - 1))
    yield latents


def inverted(
    backbone: Backbone, subject: Subject, shown: np.ndarray, clip: Clip, fine: Fine, wanted: Wanted
) -> Generator[Event, None, Reference]:
    """Invert the picture `shown` (H, W, 3) uint8, cut as the clip: yields Progress, returns what was recorded."""
    clean = backbone.encode_video(reference_clip(shown, clip.frames if fine.whole_reference else 1))
    words = TEMPLATES[0].format(subject.phrase)
    named = find_tokens(backbone.pipeline.tokenizer, words, subject.token)
    began, reference = time.perf_counter(), Reference({}, {})
    for event in record_reference(backbone, clean, clip.steps, backbone.encode_text([words]), wanted, named):
        if isinstance(event, Reference):
            reference = event
        else:
            pace = (time.perf_counter() - began) / event.step
            yield replace(event, seconds_left=pace * (event.total - event.step + DENOISING * clip.steps))
    return reference


def what_is_wanted(backbone: Backbone, fine: Fine, timesteps: list[float]) -> Wanted:
    """The windows of `fine` as numbers of this model and schedule; nothing where injection is off."""
    depth = len(backbone.blocks())
    steps = fine.steps.steps(timesteps) if fine.inject else []
    return Wanted(
        fine.descriptor, fine.matching.layers(depth)[0], tuple(fine.values.layers(depth)), frozenset(steps), fine.how != "warp", fine.stride
    )


def views(seen: Seen, picture: np.ndarray, step: int) -> Iterator[Preview]:
    """What a step was decided by, as pictures on the token grid.

    Args:
        picture: (H, W, 3) uint8 reference.
    """
    seen, grid = seen.cpu(), seen.matches.grid
    tokens = torch.tensor(fit(picture, *grid[1:])).flatten(0, 1)  # (h * w, 3)
    pulled = warp(tokens, seen.matches).unflatten(0, grid).numpy()
    mask = seen.mask.numpy()
    yield Preview("frames", "correspondence", step, warp(colours_of(grid), seen.matches).unflatten(0, grid).numpy())
    yield Preview("frames", "warped reference", step, pulled)
    yield Preview("frames", "warped reference, masked", step, (pulled * mask[..., None]).astype(np.uint8))
    yield Preview("flow", "flow to the reference", step, flow(seen.matches.to_reference, grid).numpy())
    yield Preview("flow", "flow from the reference", step, flow(seen.matches.to_generated, grid).numpy())
    yield Preview("map", "attention to the subject", step, seen.attention.float().numpy())
    for name, part in {"foreground": seen.foreground, "cycle": seen.cycle, "injection": seen.mask}.items():
        yield Preview("mask", f"{name} mask", step, part.float().numpy())


def colours_of(grid: tuple[int, int, int]) -> Tensor:
    """(h * w, 3) uint8: each place of a frame in a colour of its own, red to the right, green downwards, blue against both."""
    share = positions(grid) / torch.tensor([max(grid[2] - 1, 1), max(grid[1] - 1, 1)])
    return (torch.cat([share, 1 - share.mean(1, keepdim=True)], 1) * 255).round().to(torch.uint8)
