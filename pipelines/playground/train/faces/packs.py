"""`train faces` and `train faces-second`: folders that insightface's `FaceAnalysis(name=folder)` loads as they are.

Each holds a detector and a recogniser, for insightface opens no pack without a detector; the second pack has the detector of
the first. The export needs the package onnx, which comes with insightface.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from pipelines.errors import NotAvailable, UserError
from pipelines.playground.train.export import place, write_recipe
from pipelines.playground.train.faces.detector import train_detector
from pipelines.playground.train.faces.export import export_detector, export_recogniser
from pipelines.playground.train.faces.networks import Convolutional, Tokens
from pipelines.playground.train.faces.pictures import FacePictures
from pipelines.playground.train.faces.recogniser import train_recogniser
from pipelines.playground.train.faces.scenes import FaceScenes
from pipelines.playground.train.run import Budget

PEOPLE = 3008
"""Training identities, unless --clips says otherwise."""

PEOPLE_OF_THE_DETECTOR = 1024
"""It needs to know what a face is, not whose it is."""

SHARE_OF_THE_DETECTOR = 0.4
"""Of the budget of `train faces`."""

DETECTOR, RECOGNISER = "detector.onnx", "recogniser.onnx"
SEED_OF_THE_SECOND = 1
"""Added to --seed for the second recogniser."""


def main(flags: argparse.Namespace, device: str) -> None:
    """`train faces`: the detector, then the first recogniser."""
    pictures, out, budget = _pictures(flags), flags.out or place("playground-faces"), Budget.of(flags)
    few = FacePictures(flags.work / "world", min(len(pictures), PEOPLE_OF_THE_DETECTOR)).read()
    how = {"batch": flags.batch, "resume": flags.resume, "seed": flags.seed}
    detector = train_detector(FaceScenes(few), flags.work / "faces", budget.part(SHARE_OF_THE_DETECTOR), device, **how)
    export_detector(detector, out / DETECTOR)
    rest = budget.part(1 - SHARE_OF_THE_DETECTOR)
    export_recogniser(train_recogniser(Convolutional(), pictures.read(), flags.work / "faces", rest, device, **how), out / RECOGNISER)
    write_recipe(out, flags, device)


def main_of_second(flags: argparse.Namespace, device: str) -> None:
    """`train faces-second`: another recogniser beside the detector of the first pack, which must be there."""
    out, first = flags.out or place("playground-faces-second"), _first_pack(flags)
    pictures, seed = _pictures(flags).read(), flags.seed + SEED_OF_THE_SECOND
    network = train_recogniser(
        Tokens(), pictures, flags.work / "faces-second", Budget.of(flags), device, batch=flags.batch, resume=flags.resume, seed=seed
    )
    export_recogniser(network, out / RECOGNISER)
    shutil.copyfile(first / DETECTOR, out / DETECTOR)
    write_recipe(out, flags, device)


def _pictures(flags: argparse.Namespace) -> FacePictures:
    if flags.start:
        raise UserError("A face pack cannot be gone on from: keep WORK, where --resume finds its checkpoints.")
    pictures = FacePictures(flags.work / "world", flags.clips or PEOPLE)
    pictures.render_missing()
    return pictures


def _first_pack(flags: argparse.Namespace) -> Path:
    folder = flags.out.parent / "playground-faces" if flags.out else place("playground-faces")
    if not (folder / DETECTOR).exists():
        raise NotAvailable(f"There is no {DETECTOR} in {folder}: run `train faces` first.")
    return folder
