"""What is drawn of the playground to learn from: one toy in all of its pictures, of the training split, made once and kept."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.methods.subject_training import recorded, world
from pipelines.methods.subject_training.recorded import RecordedWorld
from pipelines.methods.subject_training.words import captions, without_looks
from pipelines.methods.subject_training.world import FIRST_CLIP, FIRST_TOY, FIRST_VIEW, JITTER, MOMENTS, VIEWS, clip_of, views_of
from pipelines.methods.zero_shot_subject.words import CLS
from pipelines.playground.scene import TRAIN_INSTANCES, TRAIN_SEEDS, instance, sample_scene
from pipelines.playground.vocabulary import COLOURS, PATTERNS, SHAPES


def test_words_name_the_subject_and_brief_ones_nothing_of_its_looks() -> None:
    for seed in range(60):
        scene = sample_scene(seed, "instance")
        toy = scene.subjects[-1]
        full, brief = captions(scene)
        assert full.count(CLS) == brief.count(CLS) == 1
        assert full.split(f"{CLS} ")[1].startswith((toy.shape, f"toy {toy.shape}"))
        assert brief.split(f"{CLS} ")[1].split()[0] in (toy.shape, "toy") and toy.colour in full
        said = set(brief.replace("purple light", "").split())
        assert not said & set(COLOURS) - {"green", "white"} and not said & {word for words in PATTERNS.values() for word in words if word}
        assert brief == without_looks(scene)


def test_pictures_of_a_toy_show_that_toy_elsewhere() -> None:
    for toy in range(4):
        views, own = views_of(toy), instance(TRAIN_INSTANCES[FIRST_TOY + toy])
        assert len(views) == VIEWS and len({view.frames.shape for view in views}) == 1
        assert all(own.shape in view.words[0] and own.colour in view.words[0] for view in views)
        assert all(np.abs(one.frames.astype(int) - other.frames).mean() > 5 for one, other in pairwise(views))
        assert all(view.masks.shape == view.frames.shape[:3] and view.masks.max() > 0.9 for view in views)
        again = views_of(toy)
        assert all(np.array_equal(one.frames, other.frames) for one, other in zip(views, again, strict=True))


def test_all_of_it_is_of_the_training_split_and_of_no_seed_that_is_looked_at_later() -> None:
    from pipelines.methods.subject_training import trial

    assert FIRST_TOY + 65_536 <= trial.FIRST_TOY < len(TRAIN_INSTANCES)
    assert FIRST_VIEW + VIEWS * recorded.TOYS < FIRST_CLIP < trial.FIRST_SCENE - recorded.CLIPS < len(TRAIN_SEEDS)


def test_clips_keep_their_first_frame_and_some_others() -> None:
    clip = clip_of(3)
    assert clip.frames.shape[0] == world.FRAMES and clip.moments[0] == 0 and len(clip.moments) == 1 + MOMENTS
    drawn = [moment for number in range(40) for moment in np.random.default_rng((182, number)).integers(world.FRAMES, size=MOMENTS)]
    assert set(drawn) == set(range(world.FRAMES)) and all(0 <= moment < world.FRAMES for moment in clip.moments)
    assert any(shape in clip_of(0).words for shape in SHAPES) or "person" in clip_of(0).words or "someone" in clip_of(0).words


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few and small: chunks of 2 toys, of which 2 are held out."""
    monkeypatch.setattr(recorded, "CHUNK", 2)
    monkeypatch.setattr(recorded, "HELD_OUT", 2)
    monkeypatch.setattr(world, "FRAMES", 5)
    monkeypatch.setattr(world, "_side", lambda draw: 32 if draw.uniform() < 0.5 else 48)


def test_batches_hold_one_size_and_what_was_recorded(small: None, cogvideox, tmp_path: Path) -> None:
    source = RecordedWorld(tmp_path, cogvideox, 8, 6)
    done = list(source.prepare())
    assert (done[0].step, done[-1].step, done[-1].total) == (0, 6, 6)
    sizes = set()
    for number in range(12):
        pairs, clips = source.pairs(0, number, 4), source.clips(0, number, 2)
        assert all(torch.equal(one, other) for one, other in zip(pairs, source.pairs(0, number, 4), strict=True))
        assert pairs.reference.shape == pairs.target.shape and not torch.equal(pairs.reference, pairs.target)
        side = pairs.target.shape[-1]
        assert len(pairs.target) == (4 if side == 8 else 2) == len(pairs.text)
        assert pairs.cover.shape == (len(pairs.target), 1, 1, side, side) and 0 < pairs.cover.max() <= 1
        assert clips.target.shape[2] == 2 and clips.frames.shape[1:4] == (1 + MOMENTS, 4, 1)
        sizes.add(side)
    assert sizes == {8, 12}
    shown = cogvideox.encode_video(clip_of(0).frames[:1])[0].half()
    assert torch.equal(source.shots.tensor(0, "frames", 0), shown)


def test_the_last_are_not_learnt_from(small: None, cogvideox, tmp_path: Path) -> None:
    source = RecordedWorld(tmp_path, cogvideox, 8, 6)
    list(source.prepare())
    held = {source.toys.tensor(toy, "latents").sum().item() for toy in (6, 7)}
    chosen = [source._some(source.toys, np.random.default_rng(seed), 4) for seed in range(30)]
    assert {toy for toys in chosen for toy in toys} <= set(range(6)) and len(held) == 2
    pairs, clips = source.held_out(1)
    assert len(pairs.target) == len(clips.target) == 1
    assert all(
        torch.equal(one, other) for one, other in zip((*pairs, *clips), (*source.held_out(1)[0], *source.held_out(1)[1]), strict=True)
    )


def test_what_is_made_is_not_made_again(small: None, cogvideox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(RecordedWorld(tmp_path, cogvideox, 4, 2).prepare()) as events:
        next(events), next(events)  # the first chunk is made when the second begins
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.safetensors")}
    assert len(files) == 1
    source = RecordedWorld(tmp_path, cogvideox, 4, 2)
    list(source.prepare())
    assert all(file.stat().st_mtime_ns == time for file, time in files.items()) and len(list(tmp_path.rglob("*.safetensors"))) == 3
    monkeypatch.setattr(source.toys, "make", None)
    list(source.prepare())


def test_a_part_of_each_view_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    plain = world.render
    monkeypatch.setattr(world, "render", lambda scene, *size: asked.append(size) or plain(scene, *size))
    (side,) = {view.frames.shape[1] for view in views_of(0)}
    assert asked == [(1, side + side // JITTER, side + side // JITTER)] * VIEWS
