"""The judge: its folder is a plain CLIPModel, its heads fit, unknown words are borne, figures are of held-out scenes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from transformers import AutoProcessor, CLIPModel

from pipelines.evaluation.judge import Judge, held_out_families, rows
from pipelines.playground.looking import Looking
from pipelines.playground.render import render
from pipelines.playground.scene import HELD_OUT_SEEDS, TRAIN_SEEDS, caption, sample_scene
from pipelines.playground.train.judge import JudgeNet, export_judge
from pipelines.playground.train.stills import WorldStills
from pipelines.playground.train.targets import classes
from pipelines.playground.train.tokenizer import new_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judge as the recipe exports it, before any training."""
    work = tmp_path_factory.mktemp("judge")
    torch.manual_seed(0)
    tokenizer, names = new_tokenizer(), classes(WorldStills(work, 1024))
    export_judge(JudgeNet(tokenizer, names).clip, tokenizer, Looking(names), work / "model")
    return work / "model"


@pytest.fixture(scope="module")
def judge(folder: Path) -> Judge:
    return Judge.load(folder)


@torch.no_grad()
def test_transformers_reads_the_folder_and_sees_the_same(judge: Judge, folder: Path) -> None:
    """Caption and picture through the classes of the real CLIP: the cosine is the judge's similarity."""
    scene = sample_scene(HELD_OUT_SEEDS[0], "toy")
    frame, words = render(scene, 1).frames[0], caption(scene, moving=False)
    processor, model = AutoProcessor.from_pretrained(folder), CLIPModel.from_pretrained(folder, torch_dtype=torch.float32)
    seen = model(**processor(text=[words], images=[Image.fromarray(frame)], return_tensors="pt", padding=True))
    assert float(seen.image_embeds[0] @ seen.text_embeds[0]) == pytest.approx(judge.similarity(frame[None], words), abs=1e-4)


def test_heads_have_a_row_for_each_name(folder: Path) -> None:
    about = json.loads((folder / "heads.json").read_text())
    with safe_open(folder / "heads.safetensors", "pt") as file:
        for attribute, names in about["attributes"].items():
            assert file.get_slice(f"heads.{attribute}.weight").get_shape()[0] == len(set(names)) == len(names)
            assert file.get_slice(f"heads.{attribute}.bias").get_shape() == [len(names)]
        assert file.get_slice("same.weight").get_dtype() == "BF16"


def test_every_label_of_the_world_has_a_name(judge: Judge) -> None:
    for seed in HELD_OUT_SEEDS[:300]:
        for attribute, name in sample_scene(seed).labels().items():
            assert attribute in ("motion", "camera") or name in judge.names[attribute]


def test_unknown_words_and_long_texts_are_borne(judge: Judge) -> None:
    frames = np.zeros((1, 40, 60, 3), np.uint8)
    for words in ("", "Éclair ZEBRA 漢字 \N{ROCKET}", "ball " * 500):
        assert -1 <= judge.similarity(frames, words) <= 1


def test_attributes_are_told_with_probabilities(judge: Judge) -> None:
    told = judge.attributes(render(sample_scene(HELD_OUT_SEEDS[1]), 9).frames)
    assert set(told) == set(judge.names)
    assert all(name in judge.names[attribute] and 0 < share <= 1 for attribute, (name, share) in told.items())


def test_figures_are_shares_of_what_can_be_asked(judge: Judge) -> None:
    values = {row.name: row for row in rows(judge, 40)}
    assert all(0 <= row.value <= 1 for row in values.values())
    bars = {name.split()[1] for name, row in values.items() if row.bar}
    assert bars == {"shape", "colour", "background"}


def test_embeddings_are_unit_vectors_whatever_the_batch(judge: Judge) -> None:
    frames = render(sample_scene(HELD_OUT_SEEDS[3]), 70, 16, 16).frames
    whole = judge.embed(frames)
    assert np.allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-4)
    assert np.allclose(whole[-3:], judge.embed(frames[-3:]), atol=1e-4)


def test_figures_are_of_held_out_subjects() -> None:
    for family in held_out_families(40):
        for scene in family:
            assert scene.seed in HELD_OUT_SEEDS and scene.seed not in TRAIN_SEEDS
            for subject in scene.subjects:
                seed = getattr(subject, "identity", None) or getattr(subject, "emblem", None)
                assert seed is None or seed >= 100_000
