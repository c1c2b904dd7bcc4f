"""What tells expressions: how good it is on faces that a detector found, and that it says nothing where there are none."""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import torch
from safetensors import safe_open

from pipelines.evaluation.expressions import Expressions
from pipelines.faces import Detector, pack
from pipelines.playground.expressions import FILE
from pipelines.playground.render import render
from pipelines.playground.scene import TRAIN_SEEDS, sample_scene, still
from pipelines.playground.train import expressions
from pipelines.playground.vocabulary import EXPRESSIONS


def test_expressions_are_told_from_faces_that_a_detector_finds() -> None:
    told, detector, right = Expressions.load(), Detector.open(pack().find(), "cpu", embed=False), []
    assert told.names == tuple(EXPRESSIONS)
    for number in range(6):
        scene = still(sample_scene(TRAIN_SEEDS[950_000 + number], "person"))
        for name in EXPRESSIONS:
            shown = replace(scene, effects=(), subjects=(replace(scene.subjects[-1], expression=name),))
            clip = render(shown, 1, 128, 128).frames
            right.append(told.tell(clip, detector.detect(clip[0])[:1]) == name)
    assert np.mean(right) > 0.75


def test_nothing_is_told_without_a_face() -> None:
    assert Expressions.load().tell(np.zeros((3, 32, 32, 3), np.uint8), [None] * 3) is None


def test_its_training_goes_on_and_writes_what_can_be_loaded(tmp_path, one_thread) -> None:
    flags = {"minutes": 0.0, "steps": 2, "clips": 64, "resume": True, "seed": 0, "save_every": 50.0, "say_every": 25}
    for steps in (1, 2):
        expressions.main(argparse.Namespace(**flags | {"steps": steps}, work=tmp_path / "work", out=tmp_path, start=None), "cpu")
        with safe_open(tmp_path / FILE, framework="pt") as stored:
            assert stored.metadata()["names"].split() == list(EXPRESSIONS)
    assert (tmp_path / "expressions" / "recipe.json").is_file()
    crops, said = expressions.Faces(tmp_path / "work", 64).batch(np.random.default_rng(0), 8)
    assert crops.shape == (8, 3, 56, 56) and said.max() < len(EXPRESSIONS)
    assert len(Expressions.load(tmp_path).net(torch.zeros(2, 3, 56, 56))[0]) == len(EXPRESSIONS)
