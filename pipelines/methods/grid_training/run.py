"""Grid adapters from a request: concepts are read, then the adapter is trained. torch comes in with the model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import UserError
from pipelines.events import Event, Preview, Result
from pipelines.files import ANYWHERE, Files
from pipelines.methods.generate.memory import forget_peak, peak
from pipelines.methods.grid.names import FILES
from pipelines.methods.grid_training.folders import FolderClips, FolderConcepts, Pace, Sight, survey
from pipelines.methods.grid_training.plan import LEAST_CLIP, check, plan
from pipelines.methods.grid_training.request import TrainGridRequest
from pipelines.models.registry import entry, require
from pipelines.models.store import ModelStore

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone
    from pipelines.methods.grid_training.examples import Source
    from pipelines.methods.grid_training.recipe import Recipe

DATA = "data"
"""Folder beside the adapters for what is made of the world before the training."""

OWN = (*FILES.values(), *(f"training-{kind}.pt" for kind in FILES), DATA)
"""Files of adapters and of their trainings."""


def run(request: TrainGridRequest, store: ModelStore, files: Files = ANYWHERE) -> Iterator[Event]:
    """Train the adapter of `request`; closing the iterator stops and keeps what was learnt.

    Yields Progress and Preview "loss", and last a Result without frames. The same request for a folder that holds an unfinished
    training goes on with it. Raises UserError in one sentence.
    """
    check(request)
    model = entry(request.model)
    require(model)
    planned = plan(request, model)
    folder = files.find(request.folder)
    refuse_another(folder, planned.request)
    least = 1 if request.stage == "dynamic" else LEAST_CLIP
    concepts = survey(files.find(request.clips), least) if request.clips.strip() else []
    if store.folder(model) is None:
        yield from store.download(model.name)
    yield from store.attempt(model.name, lambda backbone: train(backbone, planned.request, concepts, folder, planned.notes))


def refuse_another(folder: Path, request: TrainGridRequest) -> None:
    """Raise UserError if `folder` holds something that this request would not go on with."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not folder.is_dir() or any(file.name not in OWN for file in folder.iterdir()):
        raise UserError(f"{folder.name} is there already and holds something else: choose another folder.")
    file = folder / FILES[request.stage]
    if not file.exists():
        return
    from pipelines.methods.grid.weights import card_of

    card = card_of(file)
    if (card.base, card.recipe.get("rank"), card.recipe.get("seed")) != (request.model, request.rank, request.seed):
        raise UserError(f"{folder.name} holds an adapter made otherwise: choose another folder, or the settings that it was made with.")


def train(
    backbone: Backbone, request: TrainGridRequest, concepts: Sequence[Sequence[Sight]], folder: Path, notes: tuple[str, ...] = ()
) -> Iterator[Event]:
    """The training itself on a loaded model."""
    began, loss = time.perf_counter(), float("nan")
    forget_peak(backbone)
    with closing(_training(backbone, request, concepts, folder)) as events:
        for event in events:
            loss = float(event.array[-1]) if isinstance(event, Preview) and event.name == "loss" else loss
            yield event
    values = {"seconds": time.perf_counter() - began, "peak_bytes": peak(backbone), "steps": request.total_steps, "loss": loss}
    yield Result(request, None, notes=notes, values=values)


def _training(backbone: Backbone, request: TrainGridRequest, concepts: Sequence[Sequence[Sight]], folder: Path) -> Iterator[Event]:
    """The events of the stage that is asked for."""
    from pipelines.methods.grid_training.dynamic import RecordedClips, train_concepts
    from pipelines.methods.grid_training.train import train as train_grids

    recipe, shape = recipe_of(request, backbone), (request.frames, request.height, request.width)
    pace = Pace(*shape, request.fps)
    if request.stage == "dynamic":
        drawn = FolderClips(backbone, concepts, pace) if concepts else RecordedClips(folder / DATA, backbone, request.drawn, shape)
        yield from drawn.prepare()
        yield from train_concepts(backbone, drawn, folder, recipe, base=request.model)
        return
    source = source_of(backbone, request, concepts, pace, folder)
    yield from source.prepare()
    yield from train_grids(backbone, source, folder, recipe, base=request.model)


def source_of(backbone: Backbone, request: TrainGridRequest, concepts: Sequence[Sequence[Sight]], pace: Pace, folder: Path) -> Source:
    """What grids are made of, with sampled ones if asked for."""
    from pipelines.methods.grid_training.recipe import Recipe
    from pipelines.methods.grid_training.recorded import Mixed, RecordedWorld
    from pipelines.methods.grid_training.samples import SampledGrids

    shape = (pace.frames, pace.height, pace.width)
    if concepts:
        source: Source = FolderConcepts(backbone, concepts, pace)
    else:
        source = RecordedWorld(folder / DATA, backbone, request.drawn, request.stage == "composition", shape)
    if request.samples:
        return Mixed(source, SampledGrids(folder / DATA, backbone, folder, request.samples, shape), Recipe.sampled)
    return source


def recipe_of(request: TrainGridRequest, backbone: Backbone) -> Recipe:
    """The request's settings."""
    from pipelines.methods.grid_training.recipe import Recipe
    from pipelines.playground.train.run import Budget

    same = {name: getattr(request, name) for name in ("rank", "dropout", "rate", "token_drop", "noise_scale", "batch", "seed")}
    return Recipe(Budget(0, request.total_steps), kind=request.stage, checkpointing=backbone.device != "cpu", **same)
