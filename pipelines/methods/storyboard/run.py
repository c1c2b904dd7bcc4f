"""A board from its request. torch comes in when the model is loaded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.events import Event, Preview, Progress, Result
from pipelines.files import ANYWHERE, Files
from pipelines.methods.generate.lora import find_lora, with_lora
from pipelines.methods.generate.memory import forget_peak, peak
from pipelines.methods.storyboard.plan import check, plan
from pipelines.methods.storyboard.request import StoryboardRequest
from pipelines.methods.storyboard.seeds import with_known_seeds
from pipelines.methods.subject_adaptation.subject import in_prompt, read_subject
from pipelines.models.registry import entry, require
from pipelines.models.store import ModelStore

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


def run(request: StoryboardRequest, store: ModelStore, files: Files = ANYWHERE) -> Iterator[Event]:
    """Draw the board of `request`; closing the iterator cancels within a step.

    Yields Progress and Previews (see `draw_board`), for each shot as soon as it is done the Previews "shot 1, finished" and
    "shot 1, alone, finished", and last a Result: all wanted shots one after the other, with figures. Raises UserError in one sentence.
    """
    check(request)
    model = entry(request.model)
    require(model)
    folder = files.find(request.subject) if request.subject.strip() else None
    named = request.prompt.strip() if folder is None else in_prompt(request.prompt.strip(), read_subject(folder))
    lora = find_lora(request, files)
    kept = files.find(request.folder) if request.folder.strip() else None
    planned = plan(with_known_seeds(request, kept), model)
    yield Progress("preparing")
    if store.folder(model) is None:
        yield from store.download(model.name)

    def work(backbone: Backbone) -> Iterator[Event]:
        return with_lora(backbone, lora, draw(backbone, planned.request, named, folder, planned.notes, kept))

    yield from store.attempt(model.name, work)


def draw(
    backbone: Backbone, request: StoryboardRequest, named: str, subject: Path | None = None, notes: tuple[str, ...] = (),
    folder: Path | None = None,
) -> Iterator[Event]:  # fmt: skip
    """The same on a loaded backbone, for a request that fits the model and has its seeds.

    Args:
        named: the character as prompts name it, with the token of `subject` if there is one.
        folder: where the board is kept until it is done.
    """
    from pipelines.evaluation.eyes import segmenting
    from pipelines.methods.storyboard.board import Finished, draw_board
    from pipelines.methods.storyboard.kept import Kept
    from pipelines.methods.subject_adaptation.subject import adapted

    segment = segmenting() if request.masks != "attention" else None
    if segment is None and request.masks != "attention":
        notes = (*notes, "The character was found by attention, because there is no segmenter.")
    started, done = time.perf_counter(), {}
    forget_peak(backbone)
    kept = Kept(folder, request)
    words = [request.words(number, named) for number in range(len(request.shots))]
    long = [number + 1 for number, said in enumerate(words) if backbone.count_tokens(said) > backbone.text_length]
    if long:
        notes = (*notes, f"The prompt of shot {long[0]} is long: the model reads its first {backbone.text_length} tokens only.")
    known = adapted(backbone, subject, request.model) if subject else nullcontext()
    with known, closing(draw_board(backbone, request, words, named, segment, kept)) as events:
        for event in events:
            if not isinstance(event, Finished):
                yield event
                continue
            done[event.number] = event
            yield Preview("frames", f"shot {event.number + 1}, finished", request.steps, event.frames)
            yield Preview("frames", f"shot {event.number + 1}, alone, finished", request.steps, event.alone)
    kept.clear()
    yield Progress("comparing the shots")
    shots = [done[number] for number in sorted(done)]
    values = {"seconds": time.perf_counter() - started, "peak_bytes": peak(backbone), "shots": [shot.number for shot in shots]}
    film = np.concatenate([shot.frames for shot in shots])
    yield Result(request, film, request.fps, notes, values | compared(shots, request))


def compared(shots: list, request: StoryboardRequest) -> dict[str, object]:
    """How alike the character is from shot to shot, and whether shots move, in company and alone."""
    from pipelines.methods.storyboard.seen import consistency, moving

    found: dict[str, object] = {}
    for name, clips in {"": [shot.frames for shot in shots], "_alone": [shot.alone for shot in shots]}.items():
        found[f"dynamic{name}"] = moving(clips)
        if len(clips) > 1:
            found |= {f"{key}{name}": value for key, value in consistency(clips, request.prompt).items()}
    return found
