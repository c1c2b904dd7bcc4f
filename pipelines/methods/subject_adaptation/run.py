"""A subject from its request: pictures are read and checked, then adapter and word are trained. torch comes in with the training."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import UserError
from pipelines.events import Event, Progress, Result
from pipelines.files import ANYWHERE, Files
from pipelines.methods.generate.memory import forget_peak, peak
from pipelines.methods.subject_adaptation.pictures import read_pictures, usable
from pipelines.methods.subject_adaptation.plan import SAMPLES, check, plan
from pipelines.methods.subject_adaptation.request import PAPER_WIDTH, PRESETS, AdaptRequest
from pipelines.methods.subject_adaptation.subject import CARD, REFERENCES, Subject, in_prompt, read_subject, token_of
from pipelines.models.registry import ModelEntry, entry, require
from pipelines.models.store import ModelStore

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone
    from pipelines.methods.subject_adaptation.train import Plan


def run(request: AdaptRequest, store: ModelStore, files: Files = ANYWHERE) -> Iterator[Event]:
    """Make the subject of `request`; closing the iterator stops and keeps what was learnt.

    Yields Progress, Preview "loss" and "sample", and last a Result without frames. A folder that holds this subject already is
    trained further, up to the request's steps in all. Raises UserError in one sentence.
    """
    check(request)
    model = entry(request.model)
    require(model)
    folder = files.find(request.folder)
    refuse_another(folder, request)
    yield Progress("reading the pictures")
    pictures = read_pictures([files.find(name) for name in request.images])
    good = [picture.pixels for picture in usable(pictures) if picture.pixels is not None]
    planned = plan(request, model)
    notes = (*planned.notes, *(picture.problem for picture in pictures if picture.problem))
    if store.folder(model) is None:
        yield from store.download(model.name)
    yield from store.attempt(model.name, lambda backbone: train(backbone, planned.request, model, good, folder, notes))


def refuse_another(folder: Path, request: AdaptRequest) -> None:
    """Raise UserError if `folder` holds something that this request would not go on with."""
    if not (folder / CARD).exists():
        if folder.exists() and (not folder.is_dir() or any(path.name != REFERENCES for path in folder.iterdir())):
            raise UserError(f"{folder.name} is there already and holds something else: choose another folder.")
        return
    there = read_subject(folder)
    asked = {"name": request.name, "class_word": request.class_word, "model": request.model, "adapts": request.adapts}
    if any(getattr(there, field) != value for field, value in asked.items()) or request.rank not in (0, there.rank):
        raise UserError(f"{folder.name} holds {there.name} made otherwise: choose another name, or the settings of its card.")
    if there.steps >= request.total_steps:
        raise UserError(f"{there.name} has been trained for {there.steps} steps already: ask for more steps in all.")


def train(
    backbone: Backbone, request: AdaptRequest, model: ModelEntry, pictures: list[np.ndarray], folder: Path, notes: tuple[str, ...]
) -> Iterator[Event]:
    """The training itself on a loaded model."""
    from pipelines.methods.subject_adaptation.train import adapt

    started = time.perf_counter()
    forget_peak(backbone)
    subject = read_subject(folder) if (folder / CARD).exists() else subject_of(request, model, backbone)
    yield from adapt(backbone, subject, pictures, folder, settings_of(request, subject, model, backbone))
    card = read_subject(folder)
    values = {"seconds": time.perf_counter() - started, "peak_bytes": peak(backbone)}
    values |= {"steps": card.steps, "loss": card.losses[-1], "subject": subject.token}
    yield Result(request, None, notes=notes, values=values)


def subject_of(request: AdaptRequest, model: ModelEntry, backbone: Backbone) -> Subject:
    """The card that the training begins with."""
    from pipelines.methods.subject_adaptation.train import rank_of

    rank = request.rank or rank_of(backbone)
    return Subject(
        name=request.name, class_word=request.class_word.strip(), token=token_of(request.name), model=model.name, revision=model.revision,
        rank=rank, alpha=rank, adapts=request.adapts, seed=request.seed, preset=request.preset,
    )  # fmt: skip


def settings_of(request: AdaptRequest, subject: Subject, model: ModelEntry, backbone: Backbone) -> Plan:
    """The request's settings for this model: what it leaves open is the preset's, its rate for this model's width."""
    from pipelines.methods.subject_adaptation.train import Plan

    preset = PRESETS[request.preset]
    narrower = PAPER_WIDTH / backbone.blocks()[0].attention.inner_dim if preset.by_width else 1
    return Plan(
        steps=request.total_steps,
        batch=preset.batch,
        rate=request.rate or preset.rate * narrower**0.5,
        token_rate=request.token_rate or preset.token_rate,
        height=request.height,
        width=request.width,
        sample_every=request.sample_every or max(1, request.total_steps // SAMPLES),
        sample_prompt=in_prompt(request.sample_prompt, subject) if request.sample_prompt.strip() else f"a {subject.phrase}",
    )
