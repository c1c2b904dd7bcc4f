"""The reader: a text encoder learns from captions alone to tell what they say, and goes on being asked for it."""

from __future__ import annotations

from pathlib import Path

import torch

from pipelines.playground.scene import sample_scene
from pipelines.playground.train.latents import names_of
from pipelines.playground.train.reader import indices, said, tokens_of, train_reader
from pipelines.playground.train.run import Budget
from pipelines.playground.train.tokenizer import new_tokenizer
from pipelines.playground.train.wan import TextAndVideo

SCENES = [sample_scene(seed) for seed in range(300)]
NAMES = names_of([said(scene, moving=True) for scene in SCENES])


def test_captions_say_what_their_scene_shows_and_single_frames_no_motion() -> None:
    for scene in SCENES:
        moving, still = said(scene, moving=True), said(scene, moving=False)
        assert set(moving) - set(still) == ({"camera"} if len(scene.subjects) > 1 else {"camera", "motion"})
        assert ("motion" in moving) == (len(scene.subjects) == 1)
    assert {"background", "effect", "camera", "motion", "shape", "colour", "hair"} <= set(NAMES)


def test_what_is_not_said_is_not_asked() -> None:
    wanted = indices([said(SCENES[0], moving=False), {}], NAMES)
    assert wanted["motion"].tolist() == [-1, -1] and wanted["background"][0] >= 0 and wanted["background"][1] == -1


def test_it_learns_to_read_and_leaves_the_encoder_free_to_learn_on(tmp_path: Path) -> None:
    """Which colour and which place is told from the states after a few captions; the heads are frozen, the encoder is not."""
    torch.manual_seed(0)
    tokenizer = new_tokenizer()
    model = TextAndVideo(len(tokenizer))
    reader = train_reader(model.text_encoder, model.encode, tokenizer, NAMES, tmp_path, Budget(minutes=9, steps=1200), "cpu")
    ids, mask = tokens_of(tokenizer, ["a red ball stands still in the snow", "a blue ball stands still in the snow"], "cpu")
    read = reader(model.encode(ids, mask), mask)
    assert [NAMES["colour"][place] for place in read["colour"].argmax(1)] == ["red", "blue"]
    assert not any(weight.requires_grad for weight in reader.heads.parameters())
    assert all(weight.requires_grad for weight in model.text_encoder.parameters())
    said_so = {"colour": torch.tensor([NAMES["colour"].index("red"), -1])}
    reader.disagreement(model.encode(ids, mask), mask, said_so).backward()
    assert model.text_encoder.shared.weight.grad.abs().sum() > 0
