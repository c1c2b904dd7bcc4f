"""The segmenter: a plain CLIPSeg folder, masks of the frames' shape, centres of masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, CLIPModel, CLIPSegForImageSegmentation

from pipelines.evaluation.segmenter import Segmenter, centroids, overlap, rows
from pipelines.playground.looking import Looking
from pipelines.playground.render import render
from pipelines.playground.scene import HELD_OUT_SEEDS, sample_scene
from pipelines.playground.train.judge import JudgeNet, export_judge
from pipelines.playground.train.segmenter import export_segmenter, new_segmenter
from pipelines.playground.train.stills import WorldStills
from pipelines.playground.train.targets import classes
from pipelines.playground.train.tokenizer import new_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A segmenter as the recipe exports it, on an untrained judge."""
    work = tmp_path_factory.mktemp("segmenter")
    torch.manual_seed(0)
    tokenizer, names = new_tokenizer(), classes(WorldStills(work, 256))
    export_judge(JudgeNet(tokenizer, names).clip, tokenizer, Looking(names), work / "judge")
    model = new_segmenter(CLIPModel.from_pretrained(work / "judge", torch_dtype=torch.float32))
    export_segmenter(model, work / "judge", work / "model")
    return work / "model"


@pytest.fixture(scope="module")
def segmenter(folder: Path) -> Segmenter:
    return Segmenter.load(folder)


@torch.no_grad()
def test_transformers_reads_the_folder_and_sees_the_same(segmenter: Segmenter, folder: Path) -> None:
    """The call of the real CLIPSeg, one prompt per picture, gives the same masks."""
    frames = render(sample_scene(HELD_OUT_SEEDS[0], "toys"), 2, 96, 96).frames
    processor, model = AutoProcessor.from_pretrained(folder), CLIPSegForImageSegmentation.from_pretrained(folder, torch_dtype=torch.float32)
    inputs = processor(text=["a red ball"] * 2, images=list(frames), padding=True, return_tensors="pt")
    assert np.allclose(model(**inputs).logits.sigmoid().numpy(), segmenter.masks(frames, "a red ball"), atol=1e-3)


def test_figures_are_shares(segmenter: Segmenter) -> None:
    assert all(0 <= row.value <= 1 for row in rows(segmenter, 8))


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
