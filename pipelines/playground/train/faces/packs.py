"""`train faces` and `train faces-second`: folders that insightface's `FaceAnalysis(name=folder)` loads as they are.

Each holds a detector and a recogniser, for insightface opens no pack without a detector; the second pack has the detector of
the first. The export needs the package onnx, which comes with insightface.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np

from pipelines.errors import NotAvailable
from pipelines.playground.train.export import place, write_recipe
from pipelines.playground.train.faces.detector import train_detector
from pipelines.playground.train.faces.export import export_detector, export_recogniser
from pipelines.playground.train.faces.networks import Convolutional, Tokens
from pipelines.playground.train.faces.pictures import FacePictures
from pipelines.playground.train.faces.recogniser import train_recogniser
from pipelines.playground.train.faces.scenes import FaceScenes
from pipelines.playground.train.run import Budget

PEOPLE = 2048
"""Training identities, unless --clips says otherwise."""

PEOPLE_OF_THE_DETECTOR = 512
"""It needs to know what a face is, not whose it is."""

SHARE_OF_THE_DETECTOR = 0.4
"""Of the budget of `train faces`."""

DETECTOR, RECOGNISER = "detector.onnx", "recogniser.onnx"
SEEN_AT = (128, 128)
"""(width, height) in pixels that pictures are fitted into for detection."""

FARTHEST = 0.5
"""Mean distance of key points from the truth, in eye distances, beyond which another face is meant."""

SEED_OF_THE_SECOND = 1
"""Added to --seed for the second recogniser."""


def main(flags: argparse.Namespace, device: str) -> None:
    """`train faces`: the detector, then the first recogniser. `--start` is the WORK/faces of an earlier training."""
    pictures, work, out, budget = _pictures(flags), flags.work / "faces", flags.out or place("playground-faces"), Budget.of(flags)
    few = FacePictures(flags.work / "world", min(len(pictures), PEOPLE_OF_THE_DETECTOR)).read()
    how = {"batch": flags.batch, "start": flags.start, "resume": flags.resume, "seed": flags.seed}
    detector = train_detector(FaceScenes(few), work, budget.part(SHARE_OF_THE_DETECTOR), device, **how)
    export_detector(detector, out / DETECTOR)
    rest = budget.part(1 - SHARE_OF_THE_DETECTOR)
    see(pictures.read(), out / DETECTOR)
    export_recogniser(train_recogniser(Convolutional(), pictures, work, rest, device, **how), out / RECOGNISER)
    _note(flags, device, work, out)


def main_of_second(flags: argparse.Namespace, device: str) -> None:
    """`train faces-second`: another recogniser beside the detector of the first pack, which must be there."""
    work, out, first = flags.work / "faces-second", flags.out or place("playground-faces-second"), _first_pack(flags)
    how = {"batch": flags.batch, "start": flags.start, "resume": flags.resume, "seed": flags.seed + SEED_OF_THE_SECOND}
    pictures = _pictures(flags).read()
    see(pictures, first / DETECTOR)
    network = train_recogniser(Tokens(), pictures, work, Budget.of(flags), device, **how)
    export_recogniser(network, out / RECOGNISER)
    shutil.copyfile(first / DETECTOR, out / DETECTOR)
    _note(flags, device, work, out)


def see(pictures: FacePictures, detector: Path) -> None:
    """Give `pictures` the key points that `detector` sees in them: recognisers will be shown faces aligned by those, not by the truth.

    The truth stays where no face is seen, or one elsewhere.
    """
    import onnxruntime
    from insightface.model_zoo import SCRFD

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    eye = SCRFD(str(detector), onnxruntime.InferenceSession(str(detector), options, providers=["CPUExecutionProvider"]))
    eye.prepare(ctx_id=-1, input_size=SEEN_AT, det_thresh=0.5)
    for index in np.flatnonzero(pictures.people >= 0):
        boxes, points = eye.detect(pictures.pixels[index][..., ::-1], max_num=1)
        truth = pictures.landmarks[index]
        if len(boxes) and np.linalg.norm(points[0] - truth, axis=1).mean() < FARTHEST * np.linalg.norm(truth[0] - truth[1]):
            pictures.landmarks[index] = points[0]


def _pictures(flags: argparse.Namespace) -> FacePictures:
    pictures = FacePictures(flags.work / "world", flags.clips or PEOPLE)
    pictures.render_missing()
    return pictures


def _note(flags: argparse.Namespace, device: str, work: Path, out: Path) -> None:
    """How it was trained, beside the checkpoints too: there a training that goes on from them finds it."""
    write_recipe(work, flags, device)
    write_recipe(out, flags, device)


def _first_pack(flags: argparse.Namespace) -> Path:
    folder = flags.out.parent / "playground-faces" if flags.out else place("playground-faces")
    if not (folder / DETECTOR).exists():
        raise NotAvailable(f"There is no {DETECTOR} in {folder}: run `train faces` first.")
    return folder
