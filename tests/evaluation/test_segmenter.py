"""The segmenter: a plain CLIPSeg folder, masks that depend on the words, centres of masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, CLIPSegForImageSegmentation

from pipelines.evaluation.segmenter import FOLDER, Segmenter, centroids, overlap, rows
from pipelines.playground.render import render
from pipelines.playground.scene import HELD_OUT_SEEDS, Scene, Toy, sample_scene

pytestmark = pytest.mark.skipif(not (FOLDER / "config.json").exists(), reason="no segmenter has been trained yet")


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter.load()


def two_toys() -> Scene:
    left = Toy("ball", "red", "plain", "still", size=0.36, place=(-0.45, 0.0))
    right = Toy("star", "blue", "plain", "still", size=0.36, place=(0.45, 0.0))
    return replace(sample_scene(HELD_OUT_SEEDS[0], "toy"), background="meadow", camera="static", subjects=(left, right), effects=())


@torch.no_grad()
def test_transformers_reads_the_folder_and_sees_the_same(segmenter: Segmenter) -> None:
    """The call of the real CLIPSeg, one prompt per picture, gives the same masks."""
    frames = render(two_toys(), 2, 96, 96).frames
    processor, model = AutoProcessor.from_pretrained(FOLDER), CLIPSegForImageSegmentation.from_pretrained(FOLDER, torch_dtype=torch.float32)
    inputs = processor(text=["a red ball"] * 2, images=list(frames), padding=True, return_tensors="pt")
    assert np.allclose(model(**inputs).logits.sigmoid().numpy(), segmenter.masks(frames, "a red ball"), atol=1e-3)


def test_words_choose_between_two_toys(segmenter: Segmenter) -> None:
    shown = render(two_toys(), 3, 64, 64)
    for index, words in enumerate(("a red ball", "a blue star")):
        mask = segmenter.masks(shown.frames, words)
        assert overlap(mask, shown.masks[index]) > overlap(mask, shown.masks[1 - index]) + 0.3


def test_masks_follow_the_words_on_held_out_scenes(segmenter: Segmenter) -> None:
    values = [row.value for row in rows(segmenter, 32)]
    assert values[0] > 0.6 and values[-1] < 0.05


def test_masks_have_the_shape_of_the_frames(segmenter: Segmenter) -> None:
    masks = segmenter.masks(np.zeros((35, 30, 50, 3), np.uint8), "Éclair 漢字 " * 60)
    assert masks.shape == (35, 30, 50) and masks.dtype == np.float32
    assert masks.min() >= 0 and masks.max() <= 1


def test_centroids_are_pixel_positions_and_nan_for_nothing() -> None:
    masks = np.zeros((2, 20, 30), np.float32)
    masks[0, 4:7, 10:13] = 1
    masks[0, 0, 0] = 0.4
    track = centroids(masks)
    assert track[0] == pytest.approx([11, 5])
    assert np.isnan(track[1]).all()


def test_overlap() -> None:
    first, second = np.array([[1.0, 0.9, 0.0]]), np.array([[1.0, 0.2, 0.0]])
    assert overlap(first, second) == 0.5
    assert overlap(first * 0, second * 0) == 1
