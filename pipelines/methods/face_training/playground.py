"""The training of the playground's own face adapter, from nothing: `python -m pipelines.methods.face_training.playground`.

What the frozen parts of playground-wan and the playground's recogniser say of rendered people is made first and kept; how long
that takes does not count. Then a small network learns to recognise faces in latents, for the direct identity loss, see
`latent_faces`; then the adapter is trained, single frames first. Each of the three goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file, save_file

from pipelines.events import Event, Preview, Progress
from pipelines.faces import Detector, open_recogniser, pack
from pipelines.methods.face_identity.card import Card
from pipelines.methods.face_identity.claims import case_of
from pipelines.methods.face_training.beginning import fresh_adapter
from pipelines.methods.face_training.latent_faces import LatentRecogniser, train_latent_recogniser
from pipelines.methods.face_training.pairs import RecordedPairs
from pipelines.methods.face_training.people import FRAMES
from pipelines.methods.face_training.recorded import Eyes, RecordedPeople
from pipelines.methods.face_training.train import Plan, Sitter, train
from pipelines.methods.face_training.trial import IDENTITIES, SEEDS, Figures, settings_of, trial
from pipelines.playground.train.export import write_recipe
from pipelines.playground.train.run import Budget

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

MODULE = "pipelines.methods.face_training.playground"
BASE, RECOGNISER = "playground-wan", "playground-faces"
SIDE = 64
"""Of the reference picture in pixels: 64 tokens, as many as a single frame of 64 x 64 px has."""

PEOPLE = 1024
TOKENS = 1280
"""In a step: 20 single frames of 64 x 64 px, or 4 clips."""

SHARE = 0.06
"""Of the minutes, for the network that recognises faces in latents."""

SAY_EVERY = 20.0
"""Seconds between lines on the terminal."""


def plan_for(minutes: float, seed: int) -> Plan:
    """Settings chosen for playground-wan on a processor with two cores."""
    return Plan(
        budget=Budget(minutes),
        images=0.65,
        tokens=TOKENS,
        rate=1e-3,
        warm_steps=50,
        floor=0.05,
        identity=0.3,
        identity_until=0.9,
        sample_every=200,
        loss_every=25,
        seed=seed,
    )


def eyes_for(side: int = SIDE, device: str = "auto") -> Eyes:
    """Those of the playground's face models."""
    return Eyes(Detector.open(pack(RECOGNISER).find(), device, embed=False), open_recogniser(RECOGNISER, device), side)


def train_playground(
    adapter_folder: Path, work: Path, minutes: float, seed: int = 0, *, people: int = PEOPLE, plan: Plan | None = None,
    backbone: Backbone | None = None,
) -> Iterator[Event]:  # fmt: skip
    """Train an adapter for playground-wan on 17 frames and single frames of 64 x 64 and 96 x 96 px, and keep it in `adapter_folder`.

    Yields Progress, Preview "loss" and Preview "sample". Closing the iterator stops and keeps what was learnt; another call with
    the same `work` goes on.

    Args:
        work: folder for caches and checkpoints.
        minutes: of training, after the people have been drawn.
        people: how many are learnt from.
        plan: other settings.
        backbone: playground-wan, if it is loaded already.
    """
    backbone = backbone or _load()
    plan = plan or plan_for(minutes * (1 - SHARE), seed)
    eyes = eyes_for()
    recorded = RecordedPeople(work / "people", people, backbone, eyes)
    yield from recorded.prepare()
    teacher = None
    if plan.identity:
        for event in train_latent_recogniser(recorded, work / "latent-faces.pt", Budget(minutes * SHARE), seed):
            if isinstance(event, LatentRecogniser):
                teacher = event
            else:
                yield event
    case = case_of(0, IDENTITIES, SEEDS)
    sitter = Sitter(*eyes.look(case.photo), settings_of(case, FRAMES))
    adapter = fresh_adapter(backbone, Card(recogniser=RECOGNISER, crop=SIDE, base=BASE), seed=seed)
    loss = teacher.disagreement if teacher else None
    yield from train(backbone, adapter, RecordedPairs(recorded), adapter_folder, plan, work=work, identity_loss=loss, sitter=sitter)


def _load() -> Backbone:
    from pipelines.backbones import open_store

    return open_store().get(BASE)


def main() -> None:
    """Train, saying how it goes; with --look, measure what came of it."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.methods.face_training.playground", description=train_playground.__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="of training")
    parser.add_argument("--work", type=Path, default=Path("training/face"), help="folder for caches and checkpoints")
    parser.add_argument("--out", type=Path, default=Path("assets/models/playground-lynx"), help="folder of the adapter")
    parser.add_argument("--people", type=int, default=PEOPLE, help="how many are learnt from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--look", type=int, default=0, metavar="N", help="draw N people afterwards and compare them with their photos")
    flags = parser.parse_args()
    backbone = _load()
    report(train_playground(flags.out, flags.work, flags.minutes, flags.seed, people=flags.people, backbone=backbone))
    halve(flags.out)
    write_recipe(flags.out, flags, backbone.device, module=MODULE, half=False)
    if flags.look:
        look(backbone, flags.out, flags.look)


def halve(folder: Path) -> None:
    """Keep the weights in bfloat16."""
    for file in folder.glob("*.safetensors"):
        save_file({name: value.bfloat16() for name, value in load_file(file).items()}, file)


def look(backbone: Backbone, folder: Path, count: int) -> None:
    """Print what `trial` finds of single frames and of clips."""
    from pipelines.methods.face_identity.weights import read_adapter

    adapter, eyes = read_adapter(folder, backbone), eyes_for()
    for frames in (1, FRAMES):
        for event in trial(backbone, adapter, eyes, count, frames):
            if isinstance(event, Figures):
                print(f"{frames} frames: {event}", flush=True)


def report(events: Iterator[Event]) -> None:
    """Print a line now and then."""
    said, loss = 0.0, float("nan")
    for event in events:
        if isinstance(event, Preview) and event.name == "loss" and len(event.array):
            loss = float(event.array[-1])
        if isinstance(event, Progress) and time.monotonic() - said > SAY_EVERY:
            left = "" if event.seconds_left is None else f", {event.seconds_left / 60:.1f} min left"
            print(f"{event.phase}: {event.step} {event.unit}, loss {loss:.4f}{left}", flush=True)
            said = time.monotonic()


if __name__ == "__main__":
    main()
