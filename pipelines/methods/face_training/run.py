"""A face adapter from its request: people are read and looked at, then the adapter is trained. torch comes in with the model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import UserError
from pipelines.events import Event, Preview, Progress, Result
from pipelines.files import ANYWHERE, Files
from pipelines.methods.face_identity import card as cards
from pipelines.methods.face_identity.adapters import find_adapter
from pipelines.methods.face_training.folders import FolderPeople, Sight, Sizes, survey
from pipelines.methods.face_training.plan import check, plan
from pipelines.methods.face_training.request import TrainFaceRequest
from pipelines.methods.generate.memory import forget_peak, peak
from pipelines.models.registry import ModelEntry, entry, require
from pipelines.models.store import ModelStore

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone
    from pipelines.methods.face_identity.modules import FaceAdapter
    from pipelines.methods.face_training.recorded import Eyes, People

PEOPLE = "people"
"""Folder beside the adapter for what is made of people before the training."""

OWN = (cards.FILE, "training.pt", "resampler.safetensors", "ip_layers.safetensors", "ref_layers.safetensors")
"""Files of an adapter and of its training."""

MOST_NOTES = 5


def run(request: TrainFaceRequest, store: ModelStore, files: Files = ANYWHERE) -> Iterator[Event]:
    """Train the adapter of `request`; closing the iterator stops and keeps what was learnt.

    Yields Progress, Preview "loss" and "sample", and last a Result without frames. The same request for a folder that holds an
    unfinished training goes on with it. Raises UserError in one sentence.
    """
    check(request)
    model = entry(request.model)
    require(model)
    planned = plan(request, model)
    folder = files.find(request.folder)
    refuse_another(folder, request)
    start = find_adapter(request.start, files) if request.start.strip() else None
    people = survey(files.find(request.people)) if request.people.strip() else []
    if store.folder(model) is None:
        yield from store.download(model.name)
    yield from store.attempt(model.name, lambda backbone: train(backbone, planned.request, model, people, folder, start, planned.notes))


def refuse_another(folder: Path, request: TrainFaceRequest) -> None:
    """Raise UserError if `folder` holds something that this request would not go on with."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not folder.is_dir() or any(file.name not in (*OWN, PEOPLE) for file in folder.iterdir()):
        raise UserError(f"{folder.name} is there already and holds something else: choose another folder.")
    if not any((folder / name).exists() for name in OWN):  # nothing but what another process has begun to prepare
        return
    card = cards.read_card(folder, "full")
    if (card.recogniser, card.crop, card.base) != (request.recogniser, request.crop, request.model):
        raise UserError(f"{folder.name} holds an adapter made otherwise: choose another folder, or the settings of its card.")


def train(
    backbone: Backbone, request: TrainFaceRequest, model: ModelEntry, people: Sequence[Sequence[Sight]], folder: Path, start: Path | None,
    notes: tuple[str, ...] = (),
) -> Iterator[Event]:  # fmt: skip
    """The training itself on a loaded model."""
    from pipelines.methods.face_training import train as training
    from pipelines.methods.face_training.pairs import RecordedPairs

    began, loss = time.perf_counter(), float("nan")
    forget_peak(backbone)
    adapter = beginning(backbone, request, start)
    recorded = people_of(request, model, people, folder / PEOPLE, backbone)
    yield from recorded.prepare()
    try:
        pairs = RecordedPairs(recorded, brief=0.8 if request.drawn else 0.0)
    except ValueError as error:
        why = f" {recorded.problems[0]}" if getattr(recorded, "problems", None) else ""
        raise UserError(f"Nobody's face is seen twice, or alike enough: add clearer pictures of each person.{why}") from error
    if (folder / training.CHECKPOINT).exists():
        yield Progress("going on")
    for event in training.train(backbone, adapter, pairs, folder, plan_of(request, backbone), sitter=sitter_of(request, recorded)):
        loss = float(event.array[-1]) if isinstance(event, Preview) and event.name == "loss" else loss
        yield event
    values = {"seconds": time.perf_counter() - began, "peak_bytes": peak(backbone), "steps": request.total_steps, "loss": loss}
    yield Result(request, None, notes=(*notes, *getattr(recorded, "problems", [])[:MOST_NOTES]), values=values)


def beginning(backbone: Backbone, request: TrainFaceRequest, start: Path | None) -> FaceAdapter:
    """A fresh adapter, or the one in `start`; UserError for one that is for another model, recogniser or size of reference."""
    from pipelines.methods.face_identity.card import Card
    from pipelines.methods.face_identity.weights import check_fits, read_adapter
    from pipelines.methods.face_training.beginning import fresh_adapter

    wanted = Card(recogniser=request.recogniser, crop=request.crop, base=request.model)
    if start is None:
        adapter = fresh_adapter(backbone, wanted, seed=request.seed)
        check_fits(adapter.sizes, backbone)
        return adapter
    adapter = read_adapter(start, backbone).float()
    if adapter.card.recogniser != wanted.recogniser or adapter.card.crop != wanted.crop:
        theirs = f"{adapter.card.recogniser} and {adapter.card.crop} px"
        raise UserError(f"{start.name} was trained with the recogniser {theirs}: choose those, or begin with nothing.")
    return adapter


def eyes_of(request: TrainFaceRequest) -> Eyes:
    """Who finds and recognises faces."""
    from pipelines.faces import Detector, open_recogniser, pack
    from pipelines.methods.face_training.recorded import Eyes

    return Eyes(Detector.open(pack(request.pack).find(), embed=False), open_recogniser(request.recogniser), request.crop)


def people_of(
    request: TrainFaceRequest, model: ModelEntry, people: Sequence[Sequence[Sight]], cache: Path, backbone: Backbone
) -> People:  # fmt: skip
    """Whom to learn from."""
    from pipelines.methods.face_training.recorded import RecordedPeople

    if request.drawn:
        return RecordedPeople(cache, request.drawn, backbone, eyes_of(request))
    sizes = Sizes(model, request.width, request.height, request.frames, request.fps)
    return FolderPeople(cache, people, backbone, eyes_of(request), sizes)


def plan_of(request: TrainFaceRequest, backbone: Backbone):
    """The request's settings for this model."""
    from pipelines.methods.face_training.train import Plan, rate_for
    from pipelines.playground.train.run import Budget

    return Plan(
        budget=Budget(0, request.total_steps),
        images=request.images,
        tokens=request.tokens,
        rate=request.rate or rate_for(backbone),
        checkpointing=backbone.device != "cpu",
        sample_every=request.sample_every,
        seed=request.seed,
    )


def sitter_of(request: TrainFaceRequest, people: People):
    """The first person whose face is known, if samples are wanted."""
    from pipelines.methods.face_identity.loop import FaceSettings
    from pipelines.methods.face_training.folders import CAPTION
    from pipelines.methods.face_training.train import Sitter

    known = (person for person in range(len(people)) if len(similar := people.facts(person).similar) and similar.max() > 0)
    person = next(known, None) if request.sample_every else None
    if person is None:
        return None
    photograph = int(people.facts(person).similar.max(1).argmax())
    size = {"frames": request.frames, "height": request.height, "width": request.width, "steps": 16, "guidance": 4.0, "id_guidance": 2.0}
    face = (people.tensor(person, name, photograph).numpy() for name in ("embeddings", "pictures"))
    return Sitter(*face, FaceSettings(prompt=CAPTION, seed=request.seed, **size))
