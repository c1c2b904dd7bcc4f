"""The tracker: it is taught by the world which way subjects go, and leads estimates of clips to the way that was asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from pipelines.playground.scene import sample_scene
from pipelines.playground.train.clips import WorldClips
from pipelines.playground.train.latents import LatentWorld, way
from pipelines.playground.train.run import Budget
from pipelines.playground.train.tracker import Tracker, track, train_tracker

CLIPS = 96


def fold(video: torch.Tensor) -> torch.Tensor:
    """A stand for an autoencoder: every fourth pixel and frame, colours as channels."""
    return F.avg_pool3d(video, (1, 4, 4))[:, :, ::4]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> LatentWorld:
    folder = tmp_path_factory.mktemp("tracker")
    clips = WorldClips(folder / "world", CLIPS, (9, 32, 32))
    clips.render_missing(1)
    return LatentWorld([clips], fold, folder / "latents")


def test_only_motions_that_go_somewhere_are_ways_and_several_subjects_have_none() -> None:
    scenes = [sample_scene(seed) for seed in range(200)]
    for scene in scenes:
        assert (way(scene) == "") == (len(scene.subjects) > 1)
    toy = next(scene for scene in scenes if len(scene.subjects) == 1)
    ways = [way(replace(toy, subjects=(replace(toy.subjects[0], motion=motion),))) for motion in ("left", "spin", "nod", "still")]
    assert ways == ["left", "still", "still", "still"]


def test_a_track_is_where_masks_are() -> None:
    masks = torch.zeros(1, 1, 3, 5, 9)
    for frame, (row, column) in enumerate(((0, 0), (2, 4), (4, 8))):
        masks[0, 0, frame, row, column] = 1
    assert torch.allclose(track(masks)[0, :, :2], torch.tensor([[-1.0, -1], [0, 0], [1, 1]]), atol=1e-2)
    assert torch.allclose(track(masks)[0, :, 2], torch.full((3,), (1 / 45) ** 0.5))
    assert torch.isfinite(track(torch.zeros(1, 1, 3, 5, 9))).all(), "an empty frame has a place too"


def test_batches_tell_ways_of_moving_clips_with_a_caption_only(world: LatentWorld) -> None:
    for step in range(4):
        batch = world.batch(0, step, 32, single=False)
        assert all((place == -1) for place, words in zip(batch.ways, batch.words, strict=True) if not words)
        assert (batch.ways >= 0).any()
        assert (world.batch(0, step, 8, single=True).ways == -1).all()


def test_it_learns_ways_and_leads_estimates_to_them(world: LatentWorld, tmp_path: Path) -> None:
    """It names most ways of what it was taught; a step down its gradient makes estimates go more as they were asked to."""
    tracker = train_tracker(world, tmp_path, Budget(minutes=1, steps=12_000), "cpu")
    part = world.clips[0]
    latents, ways = torch.from_numpy(part.latents[part.alone]).float(), part.gone(part.alone, world.ways)
    with torch.no_grad():
        assert (tracker.told(tracker.masks(latents)).argmax(1) == ways).float().mean() > 0.6
    asked = (ways + 1) % len(world.ways)
    estimate = latents.clone().requires_grad_(True)
    before = tracker.disagreement(estimate, asked)
    before.backward()
    with torch.no_grad():
        moved = estimate - 0.5 * estimate.grad / estimate.grad.flatten(1).norm(dim=1).clamp(min=1e-6).view(-1, 1, 1, 1, 1)
        assert tracker.disagreement(moved, asked) < before
    assert not any(weight.requires_grad for weight in tracker.parameters()), "it is frozen"


def test_it_is_silent_without_a_way_and_about_single_frames() -> None:
    tracker, asked = Tracker(4, 3, ["left", "right"]), torch.tensor([0, 1])
    latents = torch.randn(2, 4, 3, 8, 8)
    assert tracker.disagreement(latents, asked) > 0
    assert torch.equal(tracker.disagreement(latents, torch.tensor([0, -1])), tracker.disagreement(latents[:1], asked[:1]))
    assert tracker.disagreement(latents, torch.full((2,), -1)) == 0
    assert tracker.disagreement(latents[:, :, :1], asked) == 0
