"""The judge and the segmenter of the repository see what there is in renderings that they were not trained on."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.evaluation import judge, segmenter
from pipelines.evaluation.eyes import MODELS, NAMES, open_eyes

LEAST = {"kind": 0.97, "background": 0.95, "colour": 0.93, "shape": 0.85}


@pytest.fixture(scope="module")
def eyes():
    return open_eyes()


def test_all_of_them_are_there(eyes) -> None:
    assert eyes.missing() == []
    for name in NAMES.values():
        assert "python -m pipelines evaluate playground" in (MODELS / name / "README.md").read_text()


def test_the_judge_names_what_captions_name(eyes) -> None:
    values = {row.name.split()[1]: row.value for row in judge.rows(eyes.judge, 160) if "told right" in row.name}
    assert {name: values[name] >= least for name, least in LEAST.items()} == dict.fromkeys(LEAST, True), values


def test_the_judge_finds_the_right_caption(eyes) -> None:
    """Of eight captions, that of the clip itself is most often the most similar one."""
    from pipelines.playground.render import render
    from pipelines.playground.scene import HELD_OUT_SEEDS, caption, sample_scene

    scenes = [sample_scene(seed) for seed in HELD_OUT_SEEDS[:8]]
    captions = [caption(scene, moving=False) for scene in scenes]
    table = np.array([[eyes.judge.similarity(render(scene, 1).frames, words) for words in captions] for scene in scenes])
    assert (table.argmax(1) == np.arange(8)).mean() >= 0.75


def test_the_segmenter_covers_what_is_named(eyes) -> None:
    values = {row.name: row.value for row in segmenter.rows(eyes.segmenter, 24)}
    assert values["segmenter: overlap (IoU) with the true mask, one subject"] > 0.55
