"""The segmenter: masks of what words name, by a small CLIPSeg, and how good they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.evaluation.rows import Row
from pipelines.models.registry import ROOT

FOLDER = ROOT / "assets" / "models" / "playground-segmenter"
BATCH = 32


@dataclass(frozen=True)
class Segmenter:
    """What `load` gives: a CLIPSegForImageSegmentation in float32, what turns frames into pixel values, and the tokenizer."""

    model: Any
    pictures: Any
    words: Any

    @staticmethod
    def load(folder: Path = FOLDER) -> Segmenter:
        """The segmenter of `folder`, which holds what transformers' `save_pretrained` writes."""
        import torch
        from transformers import AutoTokenizer, CLIPSegForImageSegmentation, ViTImageProcessorPil

        model = CLIPSegForImageSegmentation.from_pretrained(folder, torch_dtype=torch.float32).eval()
        return Segmenter(model, ViTImageProcessorPil.from_pretrained(folder), AutoTokenizer.from_pretrained(folder))

    def masks(self, frames: np.ndarray, prompt: str) -> np.ndarray:
        """(T, H, W) float32 0..1: how likely each pixel of frames (T, H, W, 3) uint8 belongs to what `prompt` names."""
        import torch
        import torch.nn.functional as F

        tokens = self.words([prompt], truncation=True, return_tensors="pt")
        parts = []
        with torch.no_grad():
            named = self.model.get_conditional_embeddings(1, **tokens)
            for at in range(0, len(frames), BATCH):
                pixels = self.pictures(list(frames[at : at + BATCH]), return_tensors="pt").pixel_values
                logits = self.model(pixel_values=pixels, conditional_embeddings=named.expand(len(pixels), -1)).logits
                parts.append(logits.reshape(len(pixels), 1, *logits.shape[-2:]).sigmoid())
        resized = F.interpolate(torch.cat(parts), size=frames.shape[1:3], mode="bilinear", antialias=True)
        return resized[:, 0].clamp(0, 1).numpy()


def centroids(masks: np.ndarray, least: float = 0.002) -> np.ndarray:
    """(T, 2) centre (x, y) in pixels of masks (T, H, W) in 0..1, NaN where less than the share `least` of the frame is covered.

    Only pixels of at least one half count, so that faint activation elsewhere does not pull.
    """
    weight = np.where(masks >= 0.5, masks, 0.0).astype(np.float64)
    mass = weight.sum((1, 2))
    rows, columns = np.mgrid[: masks.shape[1], : masks.shape[2]]
    empty = mass < least * masks.shape[1] * masks.shape[2]
    return np.stack([np.where(empty, np.nan, (weight * axis).sum((1, 2)) / np.maximum(mass, 1e-9)) for axis in (columns, rows)], 1)


def overlap(masks: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks in 0..1, both cut at one half; 1 where both are empty."""
    first, second = masks >= 0.5, truth >= 0.5
    union = (first | second).sum()
    return float((first & second).sum() / union) if union else 1.0


def rows(segmenter: Segmenter, count: int = 256, size: tuple[int, int] = (64, 64)) -> Iterator[Row]:
    """Overlap with the true masks of `count` held-out scenes at `size` = (height, width) for prompts that name the front
    subject, and mean activation for prompts that name something else.
    """
    from pipelines.playground.render import render
    from pipelines.playground.scene import HELD_OUT_SEEDS, sample_scene
    from pipelines.playground.train.prompts import attributes, right_prompt, wrong_prompt

    right, several, wrong = [], [], []
    for index in range(count):
        draw, scene = np.random.default_rng((97, index)), sample_scene(HELD_OUT_SEEDS[index])
        shown, subjects = render(scene, 3, *size), attributes(scene)
        mask = segmenter.masks(shown.frames, right_prompt(draw, subjects).words)
        (right if len(subjects) == 1 else several).append(overlap(mask, shown.masks[-1]))
        wrong.append(float(segmenter.masks(shown.frames, wrong_prompt(draw, subjects).words).mean()))
    yield Row.of("segmenter: overlap (IoU) with the true mask, one subject", right)
    if several:
        yield Row.of("segmenter: overlap (IoU) with the true mask, named among several subjects", several)
    yield Row.of("segmenter: mean activation for what is not there", wrong)
