"""What grids are made of: cells of one concept, visible ones among them, words that belong to their cells; the world's concepts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from tiny_concepts import SIDE, Album

from pipelines.methods.grid.layout import Layout
from pipelines.methods.grid_training.examples import cells_of, draw_grids, latent_frames, visible_cells
from pipelines.methods.grid_training.losses import drop_words
from pipelines.methods.grid_training.recipe import STEPS, VISIBLE, Recipe
from pipelines.methods.grid_training.recorded import Mixed, RecordedWorld
from pipelines.methods.grid_training.world import EFFECTS_EACH, VARIANTS, concept_of, pair_of
from pipelines.playground.scene import HELD_OUT_INSTANCES, HELD_OUT_SEEDS
from pipelines.playground.train.run import Budget
from pipelines.playground.vocabulary import EFFECTS

LAYOUT = Layout(2, 2)


def recipe(**values) -> Recipe:
    return Recipe(Budget(0, 10), **{"batch": 3, "shared": 0.0, "brief": 0.0} | values)


def test_cells_of_a_grid_are_clips_of_one_concept_with_their_own_words(wan) -> None:
    album = Album(wan)
    grids = draw_grids(album, np.random.default_rng(0), recipe(), length="whole")
    assert grids.clean.shape == (3, 4, 2, 2 * SIDE, 2 * SIDE) and grids.words.shape[:2] == (3, 4) and not grids.shared
    for row, number in enumerate(tuple(album.asked)):
        concept = album.concept(number)
        for cell, said in zip(LAYOUT.cut(grids.clean[row]), grids.words[row], strict=True):
            place = next(place for place, words in enumerate(concept.full) if torch.equal(words, said))
            assert torch.equal(cell, concept.latents[place])


def test_what_is_shared_is_said_once_and_the_rest_is_brief(wan) -> None:
    album = Album(wan)
    grids = draw_grids(album, np.random.default_rng(1), recipe(shared=1.0, batch=1), length="still")
    concept = album.concept(album.asked[0])
    assert grids.shared and grids.words.shape[1] == 5 and grids.clean.shape[2] == 1 and len(grids.clean) == 4
    first = LAYOUT.cut(grids.clean[0])[0]
    place = next(place for place in range(5) if torch.allclose(first, concept.latents[place, :, :1]))
    assert torch.equal(grids.words[0, 0], concept.full[place]) and torch.equal(grids.words[0, 1], concept.brief[place])


def test_visible_cells_are_drawn_as_often_as_asked_and_never_all() -> None:
    draw = np.random.default_rng(0)
    counts = Counter(len(visible_cells(draw, 4, recipe())) for _ in range(3000))
    assert [counts[number] / 3000 for number in range(4)] == pytest.approx(VISIBLE, abs=0.04)
    assert all(len(visible_cells(draw, 2, recipe(visible=(0.0, 0.0, 0.0, 1.0)))) == 1 for _ in range(9))
    assert not visible_cells(draw, 4, recipe(kind="consistent", visible=(0.0, 1.0)))


def test_missing_cells_are_marked(wan) -> None:
    grids = draw_grids(Album(wan), np.random.default_rng(2), recipe(visible=(0.0, 0.0, 1.0)), length="whole")
    for row in grids.missing:
        marks = [bool(cell.all()) for cell in LAYOUT.cut(row)]
        assert sum(marks) == 2 and all(cell.all() or not cell.any() for cell in LAYOUT.cut(row))


def test_compositions_keep_the_order_of_their_clips(wan) -> None:
    album = Album(wan, variants=4)
    grids = draw_grids(album, np.random.default_rng(3), recipe(kind="composition", batch=2), length="whole")
    for row, number in enumerate(tuple(album.asked)):
        for cell, latents in zip(LAYOUT.cut(grids.clean[row]), album.concept(number).latents, strict=True):
            assert torch.equal(cell, latents)
    assert grids.missing.all()


def test_few_clips_fill_a_grid_evenly() -> None:
    for seed in range(20):
        assert max(Counter(cells_of(np.random.default_rng(seed), 3, 6)).values()) == 2
        assert len(set(cells_of(np.random.default_rng(seed), 6, 4))) == 4


def test_words_are_left_out_one_by_one_or_all(wan) -> None:
    states, empty = torch.ones(200, 4, 16, 3), torch.full((16, 3), 7.0)
    found = drop_words(states, empty, np.random.default_rng(0), 0.6, 0.25)
    silent = (found == 7).all((1, 2, 3))
    assert silent.float().mean() == pytest.approx(0.25, abs=0.08)
    assert found[~silent].mean() == pytest.approx(0.4, abs=0.02) and set(found[~silent].unique().tolist()) == {0.0, 1.0}
    assert torch.equal(drop_words(states, empty, np.random.default_rng(0), 0.0, 0.0), states)


def test_settings_are_the_papers() -> None:
    plain = Recipe(Budget(0, 1))
    assert (plain.rank, plain.dropout, plain.rate, plain.betas, plain.longest, plain.token_drop) == (8, 0.5, 1e-4, (0.9, 0.99), 0.05, 0.6)
    assert STEPS["composition"] == 2000 and STEPS["consistent"] == 3000 and STEPS["fill"] == 3900
    assert not Recipe(Budget(0, 1), kind="consistent").routed and Recipe(Budget(0, 1), kind="composition").routed
    assert Recipe(Budget(0, 1), kind="composition").layers == ("to_q",) and len(plain.layers) == 6
    assert all(isinstance(value, str | int | float | bool | None) for value in plain.plain().values())
    assert plain.length(0.5, 0.0) == "whole" and plain.grids("short") == 2 * plain.batch


def test_single_frames_come_first_and_whole_clips_last(wan) -> None:
    chosen = recipe(stills_first=0.3, stills=0.1, short_until=0.6)
    assert [chosen.length(0.5, progress) for progress in (0.0, 0.29, 0.31, 0.59, 0.61, 1.0)] == 2 * ["still"] + 2 * ["short"] + 2 * [
        "whole"
    ]
    assert chosen.length(0.05, 0.9) == "still"
    assert [latent_frames("short", count) for count in (1, 2, 5, 21)] == [1, 1, 3, 11]
    whole = draw_grids(Album(wan), np.random.default_rng(5), recipe(batch=2), length="whole")
    short = draw_grids(Album(wan), np.random.default_rng(5), recipe(batch=1), length="short")
    assert torch.equal(short.clean, whole.clean[:, :, :1]) and torch.equal(short.missing, whole.missing)


def test_concepts_of_the_world_differ_in_effects_alone_and_then_in_place() -> None:
    seen = Counter()
    for number in range(25):
        variants = concept_of(number)
        scenes = [variant.scene for variant in variants]
        assert len(scenes) == VARIANTS and len({(scene.subjects, scene.camera, scene.seed) for scene in scenes}) == 1
        assert scenes[0].effects == () and all(scene.effects for scene in scenes[1 : 1 + EFFECTS_EACH])
        assert len({scene.background for scene in scenes[:-1]}) == 1 and scenes[-1].background != scenes[0].background
        assert scenes[0].seed not in HELD_OUT_SEEDS
        assert all(getattr(subject, "emblem", None) not in HELD_OUT_INSTANCES for subject in scenes[0].subjects)
        for variant in variants[1 : 1 + EFFECTS_EACH]:
            assert any(variant.brief.startswith(words) for words in EFFECTS[variant.scene.effects[0]])
        seen.update(name for scene in scenes for name in scene.effects)
    assert seen.keys() == EFFECTS.keys()


def test_compositions_of_the_world_bring_both_toys_together() -> None:
    first, second, *fusions = (variant.scene for variant in pair_of(3))
    looks = {(scene.subjects[0].shape, scene.subjects[0].colour) for scene in (first, second)}
    for fusion, source in zip(fusions, (first, second), strict=True):
        assert {(toy.shape, toy.colour) for toy in fusion.subjects} == looks and fusion.background == source.background


def test_what_the_frozen_parts_say_is_kept(wan, tmp_path, one_thread) -> None:
    shape = (5, 32, 32)
    world = RecordedWorld(tmp_path, wan, 1, shape=shape)
    assert [event.step for event in world.prepare()] == [0, 8]
    concept, variants = world.concept(3), concept_of(3)
    assert concept.latents.shape == (VARIANTS, 4, 2, 8, 8) and concept.cover.shape == (VARIANTS, 1, 2, 8, 8)
    assert torch.allclose(concept.latents[2:3].float(), wan.encode_video(variants[2].render(*shape).frames), atol=2e-2)
    assert torch.allclose(concept.brief[2:3].float(), wan.encode_text([variants[2].brief]), atol=2e-2)
    both = Mixed(world, Album(wan), 0.5)
    assert (
        len(both) == 8 + 6
        and torch.equal(both.concept(8).full, Album(wan).text)
        and torch.equal(both.concept(0).full, world.concept(0).full)
    )
