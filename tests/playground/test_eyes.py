"""Recipes of judge and segmenter: stills in families, prompts that are true, trainings that go on as if never stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPModel

from pipelines.evaluation.judge import Judge
from pipelines.playground.looking import NEAR, ROOM, look_near
from pipelines.playground.scene import HELD_OUT_SEEDS, Person
from pipelines.playground.train.augment import augment, cosines
from pipelines.playground.train.curve import read_losses
from pipelines.playground.train.judge import export_judge, train_clip
from pipelines.playground.train.looking import train_looking
from pipelines.playground.train.prompts import attributes, phrase, right_prompt, wrong_prompt
from pipelines.playground.train.run import Budget
from pipelines.playground.train.segmenter import mask_logits, new_segmenter, train_segmenter, wanted
from pipelines.playground.train.stills import CHUNK, FAMILY, SIDE, WorldStills, family, look
from pipelines.playground.train.targets import classes, sameness


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> WorldStills:
    world = WorldStills(tmp_path_factory.mktemp("world"), CHUNK)
    world.render_missing(1)
    return world


def budget(steps: int) -> Budget:
    return Budget(1, steps, save_every=0, say_every=1)


@pytest.fixture(scope="module")
def judge(stills: WorldStills, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a judge after two steps."""
    folder = tmp_path_factory.mktemp("judge")
    how = {"names": classes(stills), "folder": folder / "work", "budget": budget(2), "device": "cpu", "batch": 8}
    export_judge(*train_clip(stills, **how), train_looking(stills, **how), folder / "model")
    return folder / "model"


def test_members_of_a_family_show_the_same_subjects() -> None:
    for seed in range(0, 200, FAMILY):
        scenes = family(seed)
        looks = [look(scene.subjects[-1]) for scene in scenes]
        assert looks[0] == looks[1] and looks[2] == looks[3]
        if looks[0]:
            assert looks[0] != looks[2]
        assert len({type(scene.subjects[-1]) for scene in scenes}) == 1


def test_groups_are_pairs_of_particular_subjects(stills: WorldStills) -> None:
    for group in set(stills.groups) - {-1}:
        members = np.flatnonzero(stills.groups == group)
        assert len(members) == 2
        assert all(look(stills.scenes[index].subjects[-1]) for index in members)


def test_stills_show_the_coverage_of_their_subjects(stills: WorldStills) -> None:
    indices, pictures = stills.draw(np.random.default_rng(0), 8)
    assert pictures.shape == (8 * FAMILY, SIDE, SIDE, 5) and pictures.dtype == np.uint8
    for index, picture in zip(indices, pictures, strict=True):
        assert (picture[..., 4].max() > 0) <= (len(stills.scenes[index].subjects) > 1)
    assert np.mean([picture[..., 3].max() > 200 for picture in pictures]) > 0.9


def test_rendered_stills_are_kept(stills: WorldStills) -> None:
    before = [file.stat().st_mtime_ns for file in sorted(stills.folder.iterdir())]
    stills.render_missing(1)
    assert before == [file.stat().st_mtime_ns for file in sorted(stills.folder.iterdir())]


def test_augmentation_keeps_masks_on_their_subject() -> None:
    """A white square on black and its mask move together; values stay in range."""
    torch.manual_seed(0)
    picture = torch.zeros(16, 5, SIDE, SIDE)
    picture[:, :4, 30:60, 40:70] = 1
    seen = augment(picture)
    assert seen.shape == picture.shape and seen.min() >= 0 and seen.max() <= 1
    bright = seen[:, :3].mean(1) > 0.5
    assert ((bright & (seen[:, 3] > 0.5)).sum((1, 2)) / (bright | (seen[:, 3] > 0.5)).sum((1, 2))).min() > 0.8


def test_cosines_are_orthonormal() -> None:
    basis = cosines(8)
    assert torch.allclose(basis @ basis.T, torch.eye(8), atol=1e-5)


def test_right_prompts_are_true_of_the_front_subject_alone_and_wrong_ones_of_none() -> None:
    draw = np.random.default_rng(0)
    for seed in range(0, 400, FAMILY):
        for scene in family(seed):
            subjects = attributes(scene)
            right, wrong = right_prompt(draw, subjects), wrong_prompt(draw, subjects)
            assert [right.fits(subject) for subject in subjects] == [False] * (len(subjects) - 1) + [True]
            assert not any(wrong.fits(subject) for subject in subjects)
            assert isinstance(scene.subjects[-1], Person) == ("person" in right.words)


def test_the_wanted_mask_is_that_of_the_named_subject() -> None:
    red, blue = {"kind": "toy", "colour": "red", "shape": "ball"}, {"kind": "toy", "colour": "blue", "shape": "ball"}
    masks = torch.stack([torch.full((2, 2), 0.25), torch.full((2, 2), 0.5)])
    draw = np.random.default_rng(0)
    for told, value in (({"colour": "red"}, 0.5), ({"colour": "blue"}, 0.25), ({"shape": "ball"}, 0.75), ({"shape": "cube"}, 0.0)):
        assert wanted(phrase(draw, {"kind": "toy", **told}), [red, blue], masks).unique().tolist() == [value]


def test_sameness_is_low_when_pairs_coincide() -> None:
    ones = torch.eye(4).repeat_interleave(2, 0)
    groups = torch.tensor([0, 0, 1, 1, 2, 2, -1, -1])
    assert sameness(ones, groups) < sameness(torch.nn.functional.normalize(torch.randn(8, 4), dim=1), groups)
    assert sameness(ones, torch.full((8,), -1)) == 0


class Interrupted(WorldStills):
    """The same stills, until `left` pictures have been looked at."""

    def __init__(self, stills: WorldStills, left: int) -> None:
        super().__init__(stills.folder.parents[1], len(stills), stills.first)
        self.left = left

    def picture(self, index: int, moment: int) -> np.ndarray:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().picture(index, moment)


@pytest.mark.parametrize("train", [train_clip, train_looking])
def test_an_interrupted_judge_goes_on_to_the_same_losses(train: Callable, stills: WorldStills, tmp_path: Path) -> None:
    how, name = {"names": classes(stills), "budget": budget(4), "device": "cpu", "batch": 8}, train.__name__.removeprefix("train_")
    train(stills, folder=tmp_path / "whole", **how)
    with pytest.raises(KeyboardInterrupt):
        train(Interrupted(stills, 20), folder=tmp_path / "parts", **how)
    assert set(read_losses(tmp_path / "parts")[name]) == {1, 2}
    train(stills, folder=tmp_path / "parts", **how)
    assert read_losses(tmp_path / "parts")[name] == pytest.approx(read_losses(tmp_path / "whole")[name], rel=1e-3)


def test_a_judge_can_go_on_from_a_finished_one(stills: WorldStills, judge: Path, tmp_path: Path) -> None:
    finished = CLIPModel.from_pretrained(judge, torch_dtype=torch.float32).state_dict()
    how = {"names": classes(stills), "budget": budget(1), "device": "cpu", "batch": 8, "seed": 5}
    started, _ = train_clip(stills, folder=tmp_path / "on", start=judge, **how)
    fresh, _ = train_clip(stills, folder=tmp_path / "anew", **how)
    assert all(torch.allclose(value, finished[name], atol=1e-2) for name, value in started.state_dict().items())
    assert not all(torch.allclose(value, finished[name], atol=1e-2) for name, value in fresh.state_dict().items())
    looking, anew = (train_looking(stills, folder=tmp_path / str(start), start=start, **how) for start in (judge, None))
    heads = Judge.load(judge).looking.state_dict()
    weights = [name for name in heads if name.endswith("weight") and "heads" in name]
    assert all(torch.allclose(looking.state_dict()[name], heads[name], atol=1e-2) for name in weights)
    assert not all(torch.allclose(anew.state_dict()[name], heads[name], atol=1e-2) for name in weights)


def test_the_view_from_near_shows_what_the_mask_covers() -> None:
    """A square that takes a ninth of the picture, off its middle, fills the middle of the view."""
    picture = torch.zeros(1, 1, SIDE, SIDE)
    picture[..., 48:80, 16:48] = 1
    view = look_near(picture, torch.nn.functional.avg_pool2d(picture, 2)[:, 0])
    assert view.shape[-1] == NEAR and view[0, 0, NEAR // 2, NEAR // 2] == 1
    assert abs(view.mean().item() - 1 / ROOM**2) < 0.02
    assert view[0, 0, :4].max() == 0


@torch.no_grad()
def test_the_segmenter_is_trained_through_its_own_forward_pass(judge: Path) -> None:
    torch.manual_seed(0)
    model = new_segmenter(CLIPModel.from_pretrained(judge, torch_dtype=torch.float32)).eval()
    pixels, tokens, mask = torch.randn(2, 3, SIDE, SIDE), torch.tensor([[5, 6, 1], [7, 1, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
    expected = model(pixel_values=pixels, input_ids=tokens, attention_mask=mask).logits
    assert torch.allclose(mask_logits(model, pixels, tokens, mask), expected, atol=1e-5)


def test_an_interrupted_segmenter_goes_on_to_the_same_losses(stills: WorldStills, judge: Path, tmp_path: Path) -> None:
    train_segmenter(stills, tmp_path / "whole", judge, budget(4), "cpu", batch=4)
    with pytest.raises(KeyboardInterrupt):
        train_segmenter(Interrupted(stills, 10), tmp_path / "parts", judge, budget(4), "cpu", batch=4)
    train_segmenter(stills, tmp_path / "parts", judge, budget(4), "cpu", batch=4)
    assert read_losses(tmp_path / "parts")["segmenter"] == pytest.approx(read_losses(tmp_path / "whole")["segmenter"], rel=1e-3)


def test_held_out_families_use_held_out_subjects() -> None:
    for seed in HELD_OUT_SEEDS[:80:FAMILY]:
        for scene in family(seed):
            assert all(value >= 100_000 for name, value in look(scene.subjects[-1]).items() if name in ("identity", "emblem"))
