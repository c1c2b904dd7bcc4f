"""The training of the playground's own adapter for subjects: `python -m pipelines.methods.subject_training.playground`.

What the frozen parts of playground-cogvideox say of rendered toys and clips is made first and kept; how long that takes does not
count. Then a recogniser of subjects in latents learns from the toys, see `latent_subjects`, and last the adapter. All three go on
where they were interrupted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.events import Event, Preview, Progress
from pipelines.methods.subject_training.latent_subjects import SubjectRecogniser, train_recogniser
from pipelines.methods.subject_training.recipe import BASELINES, Recipe
from pipelines.methods.subject_training.recorded import CLIPS, TOYS, RecordedWorld
from pipelines.methods.subject_training.train import ADAPTER, train
from pipelines.methods.subject_training.trial import Figures, case_of, draw, trial
from pipelines.playground.train.export import write_recipe
from pipelines.playground.train.run import Budget

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

MODULE = "pipelines.methods.subject_training.playground"
BASE = "playground-cogvideox"
SHARE = 0.05
"""Of the time, for the recogniser."""

SAY_EVERY = 20.0
"""Seconds between lines on the terminal."""


def recipe_for(minutes: float, baseline: str = "dual-task", seed: int = 0) -> Recipe:
    """Settings for playground-cogvideox on one core; what is not named here is the paper's.

    A higher rate and rank and fewer dropped views than the paper's, scaled to this width: steps are few here, and examples too.
    """
    plain = Recipe(
        Budget(minutes * (1 - SHARE)),
        view_drop=0.1,
        no_text=0.1,
        rank=32,
        rate=3e-3,
        dropout=0.0,
        warm_steps=50,
        likeness=1.0,
        likeness_until=0.9,
        images=12,
        clips=3,
        images_at_once=12,
        clips_at_once=3,
        monitored=16,
        checkpointing=False,
        sample_every=1000,
        loss_every=20,
        seed=seed,
    )
    return plain.otherwise(baseline)


def train_playground(
    folder: Path, work: Path, minutes: float, *, baseline: str = "dual-task", seed: int = 0, toys: int = TOYS, clips: int = CLIPS,
    recipe: Recipe | None = None, backbone: Backbone | None = None,
) -> Iterator[Event]:  # fmt: skip
    """Train an adapter for playground-cogvideox, pictures and clips of 64 x 64 and 96 x 96 px, and keep it in `folder`.

    Yields what `train` does. Closing the iterator stops and keeps what was learnt; another call with the same `work` and
    `baseline` goes on.

    Args:
        work: folder for caches and checkpoints.
        minutes: of training, after toys and clips have been drawn.
        toys, clips: how many are learnt from.
        recipe: other settings.
        backbone: playground-cogvideox, if it is loaded already.
    """
    backbone = backbone or _load()
    recorded = RecordedWorld(work, backbone, toys, clips)
    yield from recorded.prepare()
    case = case_of(0)

    def sample(step: int) -> np.ndarray:
        return draw(backbone, case, case.picture, 0)

    chosen = recipe or recipe_for(minutes, baseline, seed)
    identity = None
    if chosen.likeness:
        for event in train_recogniser(recorded, work / "latent-subjects.pt", Budget(minutes * SHARE), backbone.device, chosen.seed):
            if isinstance(event, SubjectRecogniser):
                identity = event.disagreement
            else:
                yield event
    options = {"base": BASE, "work": work / f"{baseline}-{chosen.seed}", "sample": sample, "identity": identity}
    yield from train(backbone, recorded, folder, chosen, **options)


def _load() -> Backbone:
    from pipelines.backbones import open_store

    return open_store().get(BASE)


def main() -> None:
    """Train, saying how it goes; with --look, measure what came of it."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=train_playground.__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="of training")
    parser.add_argument("--work", type=Path, default=Path("training/subjects"), help="folder for caches and checkpoints")
    parser.add_argument("--out", type=Path, default=Path("assets/models/playground-subjects"), help="folder of the adapter")
    parser.add_argument("--baseline", choices=list(BASELINES), default="dual-task")
    parser.add_argument("--toys", type=int, default=TOYS, help="how many are learnt from")
    parser.add_argument("--clips", type=int, default=CLIPS, help="how many are learnt from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--look", type=int, default=0, metavar="N", help="draw N toys afterwards and compare them with their pictures")
    flags = parser.parse_args()
    backbone = _load()
    options = {"baseline": flags.baseline, "seed": flags.seed, "toys": flags.toys, "clips": flags.clips}
    report(train_playground(flags.out, flags.work, flags.minutes, **options, backbone=backbone))
    write_recipe(flags.out, flags, backbone.device, module=MODULE)
    if flags.look:
        look(backbone, flags.out, flags.look)


def look(backbone: Backbone, folder: Path, count: int) -> None:
    """Print what `trial` finds."""
    from pipelines.evaluation.judge import Judge
    from pipelines.methods.zero_shot_subject.weights import look as look_at

    for event in trial(backbone, look_at(folder / ADAPTER), Judge.load(), count):
        if isinstance(event, Figures):
            print(event, flush=True)


def report(events: Iterator[Event]) -> None:
    """Print a line now and then, and each look at the gradients."""
    said, last = 0.0, {}
    for event in events:
        if isinstance(event, Preview) and event.kind == "curve" and len(event.array):
            last[event.name] = float(event.array[-1])
        if isinstance(event, Progress) and time.monotonic() - said > SAY_EVERY:
            left = "" if event.seconds_left is None else f", {event.seconds_left / 60:.1f} min left"
            values = ", ".join(f"{name} {value:.4f}" for name, value in last.items())
            print(f"{event.phase}: {event.step} {event.unit}{left}; {values}", flush=True)
            said = time.monotonic()


if __name__ == "__main__":
    main()
