"""Laws of the loop: it learns, what was interrupted goes on as if not, and the base is never touched."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_subjects import Album, state_of, untouched

from pipelines.backbones.adapters import lora, trainable
from pipelines.events import Preview, Progress
from pipelines.methods.subject_training.losses import Tasks
from pipelines.methods.subject_training.monitor import Monitor, without_dropout
from pipelines.methods.subject_training.recipe import BASELINES, Recipe, rank_for, rate_for
from pipelines.methods.subject_training.train import ADAPTER, CHECKPOINT, NAME, RECORD, config_for, train
from pipelines.methods.zero_shot_subject.reference_stream import predict
from pipelines.methods.zero_shot_subject.weights import look, worn
from pipelines.playground.train.run import Budget
from pipelines.training.base import frozen

STEPS = 8


def recipe(**values) -> Recipe:
    small = {"budget": Budget(0, STEPS), "p": 0.4, "images": 4, "clips": 2, "images_at_once": 4, "clips_at_once": 2, "rate": 3e-3}
    rest = {"warm_steps": 1, "rank": 4, "monitor_every": 3, "monitored": 2, "loss_every": 1, "checkpointing": False, "bfloat16": False}
    return Recipe(**(small | rest | {"seed": 3} | values))


def curve(events, name: str = "loss") -> list[float]:
    found = [event.array.tolist() for event in events if isinstance(event, Preview) and event.name == name]
    return found[-1] if found else []


def test_it_learns_to_look_at_the_reference_and_the_base_stays(cogvideox, tmp_path: Path) -> None:
    """Subjects differ in nothing but a colour, which the reference shows alone."""
    before, album = state_of(cogvideox), Album(cogvideox)
    settings = {"images": 16, "images_at_once": 16, "p": 0.2, "view_drop": 0.2, "rank": 16, "rate": 3e-2, "monitor_every": 30}
    events = list(train(cogvideox, album, tmp_path, recipe(budget=Budget(0, 100), **settings)))
    assert untouched(cogvideox, before)
    assert all(isinstance(event, Progress | Preview) for event in events)
    assert {event.name for event in events if isinstance(event, Preview)} == {
        "loss", "loss images", "loss clips", "phi", "norm images", "norm clips"
    }  # fmt: skip
    losses = curve(events, "loss images")
    assert np.mean(losses[-8:]) < 0.7 * np.mean(losses[:8])
    pairs, _ = album.held_out(32)
    right, wrong = (error(cogvideox, tmp_path, pairs._replace(reference=shown)) for shown in (pairs.reference, pairs.reference.roll(1, 0)))
    assert right < 0.94 * wrong
    assert untouched(cogvideox, before)


@torch.no_grad()
def error(backbone, folder: Path, pairs) -> float:
    with worn(backbone, look(folder / ADAPTER)):
        return Tasks(backbone, recipe(), backbone.encode_text([""]))(pairs, np.random.default_rng(0), 0.0).item()


@pytest.mark.parametrize("settings", [{}, {"surgery": 4}, {"images_at_once": 2, "clips_at_once": 1}], ids=["plain", "surgery", "summed up"])
def test_interrupted_is_as_if_not(cogvideox, tmp_path: Path, settings) -> None:
    chosen = recipe(**settings)
    whole = list(train(cogvideox, Album(cogvideox), tmp_path / "whole", chosen))
    with closing(train(cogvideox, Album(cogvideox), tmp_path / "part", chosen)) as events:
        for event in events:
            if isinstance(event, Progress) and event.step == 3:
                break
    rest = list(train(cogvideox, Album(cogvideox), tmp_path / "part", chosen))
    assert rest[0] == Progress("training", 3, STEPS)
    for name in ("loss", "loss images", "loss clips", "phi", "norm images"):
        assert curve(rest, name) == curve(whole, name)
    assert len(curve(whole)) == STEPS and (tmp_path / "part" / CHECKPOINT).exists()
    first, second = (json.loads((tmp_path / name / RECORD).read_text())["gradients"] for name in ("whole", "part"))
    assert first == second and [row["step"] for row in first] == [0, 3, 6]


def test_dropout_is_drawn_from_the_seed_and_not_by_the_monitor(cogvideox, tmp_path: Path) -> None:
    """What else uses the global generator makes no difference, and looking at gradients changes nothing."""
    torch.manual_seed(1)
    first = curve(train(cogvideox, Album(cogvideox), tmp_path / "a", recipe(dropout=0.3)))
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    assert curve(train(cogvideox, Album(cogvideox), tmp_path / "b", recipe(dropout=0.3, monitor_every=0))) == first
    assert torch.equal(torch.random.get_rng_state(), state)
    assert curve(train(cogvideox, Album(cogvideox), tmp_path / "c", recipe(dropout=0.0))) != first


def test_checkpointed_is_as_if_not(cogvideox, tmp_path: Path) -> None:
    losses = [curve(train(cogvideox, Album(cogvideox), tmp_path / f"{on}", recipe(checkpointing=on, dropout=0.3))) for on in (False, True)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_the_base_is_untouched_whatever_happens(cogvideox, tmp_path: Path) -> None:
    before, album = state_of(cogvideox), Album(cogvideox)
    trained = [parameter.requires_grad for parameter in cogvideox.transformer.parameters()]

    def sample(step: int) -> np.ndarray:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="memory"):
        list(train(cogvideox, album, tmp_path, recipe(sample_every=2, checkpointing=True), sample=sample))
    assert untouched(cogvideox, before) and look(tmp_path / ADAPTER).rank == 4
    assert [parameter.requires_grad for parameter in cogvideox.transformer.parameters()] == trained


@pytest.mark.parametrize("baseline", list(BASELINES))
def test_each_way_takes_the_steps_that_it_should(cogvideox, tmp_path: Path, baseline: str) -> None:
    album, chosen = Album(cogvideox), recipe(monitor_every=0, budget=Budget(0, 10)).otherwise(baseline)
    list(train(cogvideox, album, tmp_path, chosen))
    tasks = [task for task, *_ in album.asked]
    drawn = [np.random.default_rng((188, 3, step)).uniform() < 0.4 for step in range(10)]
    if baseline == "image-only":
        assert tasks == ["images"] * 10
    elif baseline == "two-stage":
        assert tasks == ["images"] * 6 + ["clips"] * 4
    else:
        assert tasks == ["clips" if about_clips else "images" for about_clips in drawn]


def test_batches_are_taken_in_order_and_as_many_at_once_as_memory_allows(cogvideox, tmp_path: Path) -> None:
    album = Album(cogvideox)
    list(train(cogvideox, album, tmp_path, recipe(images=4, images_at_once=1, clips=4, clips_at_once=2, monitor_every=0)))
    for task, at_once in (("images", 1), ("clips", 2)):
        asked = [(number, count) for of, number, count in album.asked if of == task]
        assert asked == [(number, at_once) for number in range(len(asked))]
    steps = sum(1 for task, *_ in album.asked if task == "images") / 4 + sum(1 for task, *_ in album.asked if task == "clips") / 2
    assert steps == STEPS


def test_the_monitor_sees_the_gradients_of_the_losses(cogvideox) -> None:
    album = Album(cogvideox)
    chosen = recipe(dropout=0.5, rank=2)
    with frozen(cogvideox.transformer), lora(cogvideox, config_for(cogvideox, chosen), name=NAME):
        for parameter in trainable(cogvideox):
            torch.nn.init.normal_(parameter, std=0.05)
        model = Tasks(cogvideox, chosen, cogvideox.encode_text([""]))
        monitor = Monitor(model, album.held_out(2), 0)
        row, again = monitor.measure(0), monitor.measure(0)
        assert row == again and all(parameter.grad is None for parameter in trainable(cogvideox))
        assert -1 <= row["phi"] <= 1 and row["norm images"] > 0 and row["norm clips"] > 0
        assert {"phi, attention", "phi, feed-forward", "phi, modulation", "phi, embedding"} <= row.keys()
        with without_dropout(model):
            losses = [model(batch, np.random.default_rng((187, 0, task)), 0.0) for task, batch in enumerate(album.held_out(2))]
        g_img, g_vid = (torch.cat([part.flatten() for part in torch.autograd.grad(loss, trainable(cogvideox))]) for loss in losses)
        assert row["norm images"] == pytest.approx(float(g_img.norm())) and row["norm clips"] == pytest.approx(float(g_vid.norm()))
        assert row["phi"] == pytest.approx(float(torch.cosine_similarity(g_img, g_vid, dim=0)), abs=1e-5)


def test_the_adapter_is_the_papers_and_says_how_it_was_made(cogvideox, tmp_path: Path) -> None:
    list(train(cogvideox, Album(cogvideox), tmp_path, replace(recipe(), rank=0), base="tiny"))
    adapter = look(tmp_path / ADAPTER)
    assert (adapter.rank, adapter.alpha) == (rank_for(32), rank_for(32) / 2)
    assert adapter.card.base == "tiny" and adapter.card.recipe["p"] == 0.4 and adapter.card.recipe["steps"] == STEPS
    assert (rank_for(3072), rate_for(3072)) == (128, 5e-5) and rank_for(768) == 32 and rate_for(1536) == 1e-4
    latents, text = torch.randn(1, 4, 3, 4, 4), cogvideox.encode_text(["a red ball"])
    with torch.no_grad():
        plain = predict(cogvideox, latents, torch.tensor([500]), text, latents[:, :, :1])
        with worn(cogvideox, adapter):
            assert not torch.allclose(predict(cogvideox, latents, torch.tensor([500]), text, latents[:, :, :1]), plain)


def test_a_base_in_half_precision_is_trained_in_full(cogvideox, tmp_path: Path) -> None:
    """Steps so small that bfloat16 would lose them."""
    cogvideox.transformer.bfloat16()
    cogvideox.__dict__.pop("dtype", None)
    before = state_of(cogvideox)
    list(train(cogvideox, Album(cogvideox), tmp_path, recipe(rate=1e-6, bfloat16=True)))
    kept = torch.load(tmp_path / CHECKPOINT, weights_only=True)["adapter"]
    assert all(value.dtype == torch.float32 for value in kept.values()) and untouched(cogvideox, before)
    risen = [value.abs().max() for name, value in kept.items() if ".lora_B." in name]
    assert all(0 < value < 1e-4 for value in risen)


def test_rates_rise_fall_and_begin_anew() -> None:
    chosen = recipe(warm_steps=10, restarts=2)
    assert chosen.rate_at(1.0, 0, 0.0) == pytest.approx(0.1) and chosen.rate_at(1.0, 9, 0.0) == 1
    assert chosen.rate_at(1.0, 50, 0.25) == pytest.approx(0.5) and chosen.rate_at(1.0, 50, 0.4999) == pytest.approx(0, abs=1e-4)
    assert chosen.rate_at(1.0, 50, 0.5) == 1 and recipe().rate_at(1.0, 50, 1 - 1e-9) == pytest.approx(0)
