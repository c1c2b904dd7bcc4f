"""The teller: it is taught by the world, tells nothing where captions say nothing, and leads estimates to what they should show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pipelines.playground.scene import sample_scene
from pipelines.playground.subjects import looks
from pipelines.playground.train.clips import WorldClips
from pipelines.playground.train.latents import LatentWorld
from pipelines.playground.train.run import Budget
from pipelines.playground.train.teller import SIDE, VISIBLE, Teller, train_teller, views


def fold(video: torch.Tensor) -> torch.Tensor:
    """A stand for an autoencoder: every fourth pixel and frame, colours as channels."""
    return F.avg_pool3d(video, (1, 4, 4))[:, :, ::4]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> LatentWorld:
    folder = tmp_path_factory.mktemp("teller")
    clips = WorldClips(folder / "world", 128, (1, 32, 32))
    clips.render_missing(1)
    return LatentWorld([clips], fold, folder / "latents")


def test_labels_are_what_the_scenes_show_and_nothing_without_a_caption(world: LatentWorld) -> None:
    for step in range(4):
        batch = world.batch(0, step, 8, single=True)
        for place, words in enumerate(batch.words):
            told = {name: world.names[name][int(labels[place])] for name, labels in batch.labels.items() if labels[place] >= 0}
            assert words or not told
            if told:
                assert told in [looks(sample_scene(seed).subjects[0]) for seed in range(128)]


def test_several_subjects_are_not_told_apart(world: LatentWorld) -> None:
    several = [seed for seed in range(128) if len(sample_scene(seed).subjects) > 1]
    assert several and all((places == -1).all() for places in world.clips[0].told(np.array(several), world.names).values())


def test_views_show_the_subject_wherever_it_is() -> None:
    latents, covers = torch.zeros(2, 4, 1, 16, 24), torch.zeros(2, 1, 1, 16, 24)
    for index, (row, column) in enumerate(((2, 3), (9, 10))):
        latents[index, :, 0, row : row + 4, column : column + 4] = covers[index, :, 0, row : row + 4, column : column + 4] = 1.0
    near = views(latents, covers)
    assert near.shape == (2, 4, SIDE, SIDE)
    assert torch.allclose(near[0], near[1], atol=1e-4) and near[0].mean() > 0.2


def test_it_learns_colours_and_leads_estimates_to_them(world: LatentWorld, tmp_path: Path) -> None:
    """Colour is what 128 small pictures can teach in seconds; a step down its gradient makes estimates agree with it more."""
    teller = train_teller(world, tmp_path, Budget(minutes=1, steps=2500), "cpu")
    part, chosen = world.clips[0], np.array([seed for seed in range(128) if "colour" in world.clips[0].looks[seed]])
    latents, covers = (torch.from_numpy(values[chosen].astype(np.float32)) for values in (part.latents, part.covers))
    labels = {"colour": part.told(chosen, world.names)["colour"]}
    with torch.no_grad():
        assert (teller(views(latents, covers))["colour"].argmax(1) == labels["colour"]).float().mean() > 0.8
    wrong = {"colour": (labels["colour"] + 1) % len(world.names["colour"])}
    estimate, sigma = latents.clone().requires_grad_(True), torch.full((len(chosen),), 0.5)
    before = teller.disagreement(estimate, covers, sigma, wrong)
    before.backward()
    with torch.no_grad():
        moved = estimate - 0.5 * estimate.grad / estimate.grad.flatten(1).norm(dim=1).clamp(min=1e-6).view(-1, 1, 1, 1, 1)
        assert teller.disagreement(moved, covers, sigma, wrong) < before
    assert not any(weight.requires_grad for weight in teller.parameters()), "it is frozen"


def test_it_is_silent_at_high_noise_and_without_labels() -> None:
    teller = Teller(4, {"shape": ["ball", "star"]})
    latents, covers = torch.randn(2, 4, 1, 8, 8), torch.ones(2, 1, 1, 8, 8)
    asked = {"shape": torch.tensor([0, 1])}
    assert teller.disagreement(latents, covers, torch.full((2,), 0.3), asked) > 0
    assert teller.disagreement(latents, covers, torch.full((2,), VISIBLE), asked) == 0
    assert teller.disagreement(latents, covers, torch.full((2,), 0.3), {"shape": torch.full((2,), -1)}) == 0
