"""An adapter for subjects from its request: data is opened, then the adapter is trained. torch comes in with the model."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import UserError
from pipelines.events import Event, Preview, Progress, Result
from pipelines.files import ANYWHERE, Files
from pipelines.methods.generate.memory import forget_peak, peak
from pipelines.methods.subject_training.plan import check, plan
from pipelines.methods.subject_training.recipe import Recipe
from pipelines.methods.subject_training.request import PRESETS, TrainSubjectsRequest
from pipelines.models.registry import ModelEntry, entry, require
from pipelines.models.store import ModelStore

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone
    from pipelines.methods.subject_training.examples import Source
    from pipelines.methods.subject_training.train import Draw

DATA = "data"
"""Folder beside the adapter for what is made of the data before the training."""

MOST_NOTES = 5
SAMPLE_STEPS = 16
LOSS_EVERY = 10


def run(request: TrainSubjectsRequest, store: ModelStore, files: Files = ANYWHERE) -> Iterator[Event]:
    """Train the adapter of `request`; closing the iterator stops and keeps what was learnt.

    Yields what `train` does, and last a Result without frames. The same request for a folder that holds an unfinished training goes
    on with it. Raises UserError in one sentence.
    """
    check(request)
    model = entry(request.model)
    require(model)
    planned = plan(request, model)
    folder = files.find(request.folder)
    refuse_another(folder, planned.request)
    if store.folder(model) is None:
        yield from store.download(model.name)
    yield from store.attempt(model.name, lambda backbone: train(backbone, planned.request, model, folder, files, planned.notes))


def refuse_another(folder: Path, request: TrainSubjectsRequest) -> None:
    """Raise UserError if `folder` holds something that this request would not go on with."""
    from pipelines.methods.subject_training.train import ADAPTER, CHECKPOINT, RECORD
    from pipelines.methods.zero_shot_subject.weights import look

    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not folder.is_dir() or any(file.name not in (ADAPTER, CHECKPOINT, RECORD, DATA) for file in folder.iterdir()):
        raise UserError(f"{folder.name} is there already and holds something else: choose another folder.")
    if not (folder / ADAPTER).exists():
        return
    there = look(folder / ADAPTER)
    asked = {name: value for name, value in recipe_of(request).plain().items() if name in SAME}
    if there.card.base != request.model or any(there.card.recipe.get(name) != value for name, value in asked.items()):
        raise UserError(f"{folder.name} holds an adapter made otherwise: choose another folder, or the settings that it was made with.")


SAME = ("p", "two_stage", "image_to_video", "random_frame", "view_drop", "token_drop", "rank", "dropout", "surgery", "seed")
"""Settings of a recipe that a training cannot go on without."""


def train(
    backbone: Backbone, request: TrainSubjectsRequest, model: ModelEntry, folder: Path, files: Files, notes: tuple[str, ...] = ()
) -> Iterator[Event]:
    """The training itself on a loaded model."""
    from pipelines.methods.subject_training import train as training

    began, loss = time.perf_counter(), float("nan")
    forget_peak(backbone)
    source = source_of(request, folder / DATA, files, backbone)
    yield from source.prepare()
    if (folder / training.CHECKPOINT).exists():
        yield Progress("going on")
    sample = sample_of(request, source, backbone)
    for event in training.train(backbone, source, folder, recipe_of(request, backbone), base=model.name, sample=sample):
        loss = float(event.array[-1]) if isinstance(event, Preview) and event.name == "loss" else loss
        yield event
    values = {"seconds": time.perf_counter() - began, "peak_bytes": peak(backbone), "loss": loss}
    yield Result(request, None, notes=(*notes, *source.notes()[:MOST_NOTES]), values=values)


def recipe_of(request: TrainSubjectsRequest, backbone: Backbone | None = None) -> Recipe:
    """The request's settings."""
    from pipelines.playground.train.run import Budget

    images, clips, images_at_once, clips_at_once = request.sizes
    same = ("p", "view_drop", "token_drop", "rank", "dropout", "rate", "surgery", "monitor_every", "sample_every", "seed")
    recipe = Recipe(
        budget=Budget(request.minutes) if request.minutes else Budget(0, request.total_steps),
        warm_steps=PRESETS[request.preset].warm_steps,
        images=images,
        clips=clips,
        images_at_once=images_at_once,
        clips_at_once=clips_at_once,
        loss_every=max(1, min(LOSS_EVERY, request.total_steps // 20)),
        checkpointing=backbone is not None and backbone.device != "cpu",
        **{name: getattr(request, name) for name in same},
    )
    return recipe.otherwise(request.baseline)


def source_of(request: TrainSubjectsRequest, cache: Path, files: Files, backbone: Backbone) -> Source:
    """What to learn from."""
    from pipelines.methods.subject_training.clip_data import Size
    from pipelines.methods.subject_training.own import Encoder, OwnExamples
    from pipelines.methods.subject_training.recorded import RecordedWorld

    if request.is_drawn:
        return RecordedWorld(cache, backbone, request.drawn, request.drawn_clips)
    clips = files.find(request.clips) if request.clips.strip() else None
    size = Size(request.frames, request.height, request.width, request.fps)
    encoder = Encoder(backbone, cache if request.keep_latents else None)
    return OwnExamples(files.find(request.pairs), clips, size, encoder, request.seed)


def sample_of(request: TrainSubjectsRequest, source: Source, backbone: Backbone) -> Draw:
    """Draws the first held-out reference, with the prompt of its pair, as a clip."""

    def sample(step: int) -> np.ndarray:
        from pipelines.methods.subject_training.sample import drawn

        pairs, _ = source.held_out(1)
        return drawn(backbone, pairs.reference[:1], pairs.text[:1], request.frames, request.seed, SAMPLE_STEPS)

    return sample
