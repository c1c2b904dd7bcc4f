"""The recogniser of subjects in latents: it learns to tell subjects from pairs, and its loss asks only where there is something to ask."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_subjects import Album

from pipelines.events import Preview
from pipelines.methods.subject_training.examples import Pairs
from pipelines.methods.subject_training.latent_subjects import VISIBLE, SubjectRecogniser, train_recogniser
from pipelines.methods.subject_training.losses import Tasks
from pipelines.methods.subject_training.recipe import Recipe
from pipelines.playground.train.run import Budget
from pipelines.playground.train.teller import views

CHANNELS = 4


class Colours:
    """Pairs of squares: each has a colour of its own, on grounds that have nothing to do with it."""

    def pairs(self, seed: int, number: int, count: int) -> Pairs:
        draw = torch.Generator().manual_seed(1000 * seed + number)
        colours = torch.randn(count, CHANNELS, 1, 1, 1, generator=draw)
        cover = torch.zeros(count, 1, 1, 16, 16)
        cover[..., 4:12, 4:12] = 1
        first, second = (torch.where(cover > 0, colours, torch.randn(count, CHANNELS, 1, 16, 16, generator=draw)) for _ in range(2))
        return Pairs(first, second, torch.zeros(count, 2, 4), cover, cover)


def test_it_tells_subjects_that_it_has_not_seen(tmp_path) -> None:
    *events, model = train_recogniser(Colours(), tmp_path / "recogniser.pt", Budget(0, 12), "cpu")
    losses = [event.array for event in events if isinstance(event, Preview)][-1]
    assert losses[-1] < np.log(96)  # better than by chance
    pairs = Colours().pairs(99, 0, 16)
    first, second = (model(views(part, cover)) for part, cover in ((pairs.reference, pairs.reference_cover), (pairs.target, pairs.cover)))
    cosines = first @ second.T
    own = cosines.diag().mean()
    assert own > (cosines.sum() - cosines.diag().sum()) / (16 * 15) + 0.3
    assert not any(parameter.requires_grad for parameter in model.parameters()) and torch.allclose(first.norm(dim=1), torch.ones(16))
    *_, again = train_recogniser(Colours(), tmp_path / "recogniser.pt", Budget(0, 12), "cpu")
    assert torch.equal(again(views(pairs.target, pairs.cover)), second)  # nothing was left to do


def test_it_asks_only_where_something_can_be_seen() -> None:
    model, pairs = SubjectRecogniser(CHANNELS).eval(), Colours().pairs(0, 0, 3)
    levels = torch.tensor([0.1, 0.5, VISIBLE])
    assert model.disagreement(pairs.target, pairs.target, pairs.cover, levels).item() == pytest.approx(0, abs=1e-6)
    estimate = pairs.target.roll(1, 0).clone().requires_grad_()
    model.disagreement(estimate, pairs.target, pairs.cover, levels).backward()
    asked = estimate.grad.flatten(1).abs().sum(1)
    assert asked[0] > 0 and asked[1] > 0 and asked[2] == 0


def test_nothing_is_asked_of_a_pair_without_its_reference(cogvideox) -> None:
    recipe = Recipe(Budget(0, 1), bfloat16=False)
    pairs = Album(cogvideox).pairs(0, 0, 4)
    pairs = covered(pairs)
    seen = []

    def identity(estimate, clean, cover, level):
        seen.append(level)
        assert estimate.shape == clean.shape and torch.equal(clean, pairs.target)
        return estimate.square().mean()

    tasks = Tasks(cogvideox, recipe, cogvideox.encode_text([""]), identity)

    def loss(view_drop: float, likeness: float) -> float:
        with torch.no_grad():
            return tasks(pairs, np.random.default_rng(3), view_drop, likeness).item()

    plain = loss(0.0, 0.0)
    assert not seen and loss(0.0, 2.0) > plain
    assert (seen[-1] < 1).all() and len(seen[-1].unique()) == 4
    loss(1.0, 2.0)
    assert (seen[-1] == 1).all()


def covered(pairs: Pairs) -> Pairs:
    cover = torch.ones_like(pairs.target[:, :1])
    return pairs._replace(cover=cover, reference_cover=cover)
