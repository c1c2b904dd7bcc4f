"""Laws of the two tasks: what is left out is left out, and the losses are those that the definitions give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_subjects import Album

from pipelines.methods.subject_training.examples import Clips
from pipelines.methods.subject_training.losses import LEVELS, Tasks, noised, tokens_kept
from pipelines.methods.subject_training.recipe import BASELINES, Recipe
from pipelines.methods.zero_shot_subject.reference_stream import predict
from pipelines.playground.train.run import Budget

RECIPE = Recipe(Budget(0, 1), bfloat16=False)


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def tasks(backbone, **settings) -> Tasks:
    return Tasks(backbone, replace(RECIPE, **settings), backbone.encode_text([""]))


def test_kept_tokens_are_distinct_and_each_stays_as_often_as_any_other() -> None:
    assert tokens_kept(draw(), 3, 16, 0.0).tolist() == [list(range(16))] * 3 and tokens_kept(draw(), 3, 16, 1.0).shape == (3, 0)
    generator, seen, sizes = draw(), np.zeros(16), []
    for _ in range(500):
        kept = tokens_kept(generator, 4, 16, 0.5)
        assert all(len(set(row)) == len(row) and row == sorted(row) for row in kept.tolist())
        seen += np.bincount(kept.flatten(), minlength=16)
        sizes.append(kept.shape[1])
    assert seen / 2000 == pytest.approx(0.5, abs=0.06)
    assert np.var(sizes) == pytest.approx(16 / 4, rel=0.25)  # of the binomial distribution


def test_levels_are_spread_and_targets_are_the_models_own(cogvideox) -> None:
    clean = torch.randn(8, 4, 1, 4, 4)
    made = noised(cogvideox.schedule(LEVELS, clean[:1]), clean, draw())
    assert sorted((made.timestep / 125).long().tolist()) == list(range(8))
    alphas = cogvideox.pipeline.scheduler.alphas_cumprod[made.timestep].float().view(-1, 1, 1, 1, 1)
    noise = (made.latents - alphas.sqrt() * clean) / (1 - alphas).sqrt()
    wanted = cogvideox.pipeline.scheduler.get_velocity(clean, noise, made.timestep)
    assert torch.allclose(made.target, wanted, atol=2e-3)


@torch.no_grad()
def test_a_loss_is_what_its_definition_says(cogvideox) -> None:
    """With everything seen; the slow way, sample by sample."""
    album, model = Album(cogvideox), tasks(cogvideox, token_drop=0.0)
    pairs, clips = album.held_out(3)
    for batch, reference in ((pairs, pairs.reference), (clips, clips.frames[:, 0])):
        generator = draw(5)
        generator.uniform(size=3)  # of empty prompts
        noise = noised(cogvideox.schedule(LEVELS, batch.target[:1]), batch.target, generator)
        alone = [predict(cogvideox, noise.latents[[row]], noise.timestep[[row]], batch.text[[row]], reference[[row]]) for row in range(3)]
        expected = (torch.cat(alone) - noise.target).square().mean()
        if isinstance(batch, Clips):
            model = tasks(cogvideox, token_drop=0.0, random_frame=False)
        assert torch.allclose(model(batch, draw(5), 0.0), expected, rtol=1e-4)


@torch.no_grad()
def test_without_a_view_or_a_frame_the_reference_makes_no_difference(cogvideox) -> None:
    pairs, clips = Album(cogvideox).held_out(3)
    model = tasks(cogvideox)
    other = pairs._replace(reference=pairs.reference + 1)
    assert torch.equal(model(pairs, draw(), 1.0), model(other, draw(), 1.0))
    assert not torch.isclose(model(pairs, draw(), 0.0), model(other, draw(), 0.0))
    still = clips._replace(frames=clips.frames + 1)
    text_to_video = tasks(cogvideox, **BASELINES["text-to-video"])
    assert torch.equal(text_to_video(clips, draw(), 0.0), text_to_video(still, draw(), 0.0))
    assert not torch.isclose(model(clips, draw(), 0.0), model(still, draw(), 0.0))


@torch.no_grad()
def test_some_views_dropped_is_each_sample_with_or_without(cogvideox) -> None:
    """A batch in which some views are dropped is the mean of what its samples are alone."""
    pairs, _ = Album(cogvideox).held_out(6)
    model, generator = tasks(cogvideox), draw(9)
    generator.uniform(size=6)
    noise = noised(cogvideox.schedule(LEVELS, pairs.target[:1]), pairs.target, generator)
    seen = generator.uniform(size=6) >= 0.5
    assert 0 < seen.sum() < 6
    nothing = torch.zeros(1, 0, dtype=torch.long)
    made = [
        predict(
            cogvideox, noise.latents[[row]], noise.timestep[[row]], pairs.text[[row]], pairs.reference[[row]],
            kept=None if seen[row] else nothing,
        )
        for row in range(6)
    ]  # fmt: skip
    expected = (torch.cat(made) - noise.target).square().mean()
    assert torch.allclose(model(pairs, draw(9), 0.5), expected, rtol=1e-4)


@torch.no_grad()
def test_the_first_frame_is_a_reference_in_that_baseline_alone(cogvideox) -> None:
    _, clips = Album(cogvideox).held_out(3)
    later = torch.cat([clips.frames[:, :1], clips.frames[:, 1:] + 1], 1)
    first, any_frame = tasks(cogvideox, **BASELINES["first-frame"]), tasks(cogvideox)
    assert torch.equal(first(clips, draw(), 0.0), first(clips._replace(frames=later), draw(), 0.0))
    changed = torch.cat([clips.frames[:, :1] + 1, clips.frames[:, 1:]], 1)
    assert torch.equal(any_frame(clips, draw(), 0.0), any_frame(clips._replace(frames=changed), draw(), 0.0))


@torch.no_grad()
def test_an_empty_prompt_is_one_without_words(cogvideox) -> None:
    pairs, _ = Album(cogvideox).held_out(3)
    silent = tasks(cogvideox, no_text=1.0)
    wordless = pairs._replace(text=cogvideox.encode_text([""]).expand_as(pairs.text))
    assert torch.equal(silent(pairs, draw(), 0.0), tasks(cogvideox)(wordless, draw(), 0.0))
