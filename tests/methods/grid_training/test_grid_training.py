"""The trainings: the loss falls, an interruption changes nothing, the base stays as it was, and the file is what inference reads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_concepts import Album, Reel, state_of, untouched

from pipelines.events import Preview, Progress
from pipelines.methods.grid.dynamic import with_concepts
from pipelines.methods.grid.layout import Layout
from pipelines.methods.grid.loop import GridSettings, draw_grid
from pipelines.methods.grid.names import FILES
from pipelines.methods.grid.prompt import Clause, GridPrompt
from pipelines.methods.grid.weights import card_of, open_concepts, open_lora, open_queries, worn
from pipelines.methods.grid_training.dynamic import train_concepts
from pipelines.methods.grid_training.playground import recipe_for
from pipelines.methods.grid_training.recipe import Recipe
from pipelines.methods.grid_training.samples import sampled
from pipelines.methods.grid_training.train import train
from pipelines.playground.train.run import Budget

KINDS = ("fill", "consistent", "composition")


def recipe(steps: int, **values) -> Recipe:
    quick = {"rank": 4, "dropout": 0.0, "rate": 2e-2, "longest": 1.0, "batch": 4, "token_drop": 0.0, "no_text": 0.0, "loss_every": 1}
    return Recipe(Budget(0, steps), **quick | values)


def curve(events) -> np.ndarray:
    """The last loss curve."""
    return [event.array for event in events if isinstance(event, Preview) and event.name == "loss"][-1]


def album(wan, kind: str) -> Album:
    return Album(wan, variants=4 if kind == "composition" else 5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_falls_and_the_base_stays_as_it_was(wan, tmp_path: Path, kind: str) -> None:
    before = state_of(wan)
    plan = recipe(16, kind=kind)
    plain = curve(train(wan, album(wan, kind), tmp_path / "plain", replace(plan, rate=0.0)))
    losses = curve(train(wan, album(wan, kind), tmp_path, plan, base="tiny"))
    assert len(losses) == 16 and losses[0] == plain[0] and losses[6:].mean() < 0.98 * plain[6:].mean()
    assert untouched(wan, before) and not any(parameter.grad is not None for parameter in wan.transformer.parameters())
    card = card_of(tmp_path / FILES[kind])
    assert (card.kind, card.base, card.structured) == (kind, "tiny", kind != "consistent") and card.recipe["steps"] == 16


@pytest.mark.parametrize("kind", KINDS)
def test_an_interruption_changes_nothing(wan, tmp_path: Path, kind: str) -> None:
    plan = recipe(6, kind=kind, dropout=0.3)
    whole = curve(train(wan, album(wan, kind), tmp_path / "whole", plan))
    events = train(wan, album(wan, kind), tmp_path / "parts", plan)
    next(event for event in events if isinstance(event, Progress) and event.step == 3)
    events.close()
    assert np.allclose(curve(train(wan, album(wan, kind), tmp_path / "parts", plan)), whole, atol=1e-5)


def test_what_was_learnt_is_what_is_drawn_with(wan, tmp_path: Path) -> None:
    """The colour of a concept comes from the visible cell: closer with the adapter than without."""
    source, layout = Album(wan), Layout(2, 2)
    list(train(wan, source, tmp_path, recipe(40, visible=(0.0, 1.0), rank=8)))
    prompt = GridPrompt(layout, "", tuple(map(Clause, ("a red ball", "rolls", "the sea", "snow"))))
    settings = GridSettings(prompt, frames=5, height=64, width=64, steps=4, guidance=1.0, preview_every=0)
    adapter, wrong = open_lora(tmp_path), []
    for strength in (0.0, 1.0):
        errors = []
        for number in range(3):
            truth = source.concept(number).latents.float()
            with worn(wan, adapter, strength):
                drawn = list(draw_grid(wan, {0: truth[:1]}, settings))[-1].latents
            errors += [(cell - truth[[place]]).square().mean().item() for place, cell in enumerate(layout.cut(drawn)) if place]
        wrong.append(np.mean(errors))
    assert wrong[1] < 0.9 * wrong[0]


def test_queries_come_out_as_inference_reads_them(wan, tmp_path: Path) -> None:
    list(train(wan, album(wan, "composition"), tmp_path, recipe(2, kind="composition")))
    assert {path.rpartition(".")[2] for path, _ in open_queries(tmp_path).items()} == {"to_q"}


def test_set_and_sequence(wan, tmp_path: Path) -> None:
    before, plan = state_of(wan), recipe(24, kind="dynamic", batch_of_stills=4)
    plain = curve(train_concepts(wan, Reel(wan), tmp_path / "plain", replace(plan, rate=0.0)))
    losses = curve(train_concepts(wan, Reel(wan), tmp_path / "whole", plan, base="tiny"))
    assert len(losses) == 24 and losses[0] == plain[0] and untouched(wan, before)
    assert losses[6:12].mean() < 0.98 * plain[6:12].mean() and losses[12:].mean() < 0.98 * plain[12:].mean()
    events = train_concepts(wan, Reel(wan), tmp_path / "parts", plan)
    next(event for event in events if isinstance(event, Progress) and event.step == 12)
    events.close()
    middle = open_concepts(tmp_path / "parts")
    assert all(not layer.B2.any() and layer.A1.any() for _, layer in middle.items()), "stage 1 knows no motion"
    assert np.allclose(curve(train_concepts(wan, Reel(wan), tmp_path / "parts", plan)), losses, atol=1e-5)
    end = open_concepts(tmp_path / "parts")
    for (_, first), (_, last) in zip(middle.items(), end.items(), strict=True):
        assert torch.equal(first.A1, last.A1) and torch.equal(first.B1, last.B1) and last.B2.any()
    with with_concepts(wan, end):
        pass


def test_samples_of_the_grid_lora_are_concepts_too(wan, tmp_path: Path) -> None:
    list(train(wan, Album(wan), tmp_path, recipe(1, kind="consistent")))
    made = sampled(0, wan, open_lora(tmp_path, "consistent"), (5, 32, 32), steps=1)
    assert made["latents"].shape == (4, 4, 2, 8, 8) and len(made["full"]) == 4 and made["latents"].isfinite().all()


def test_the_playgrounds_recipe_can_be_written_down() -> None:
    for kind in (*KINDS, "dynamic"):
        chosen = recipe_for(kind, 30)
        assert chosen.kind == kind and json.dumps(chosen.plain()) and chosen.seed == 0
