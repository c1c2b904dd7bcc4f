"""The world is repeatable, and what it says of its pictures is true."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pipelines.evaluation.playground import DIRECTIONS, direction
from pipelines.playground.render import render
from pipelines.playground.scene import HELD_OUT_SEEDS, TRAIN_SEEDS, Scene, Toy, caption, sample_scene, still
from pipelines.playground.vocabulary import CAMERAS, COLOURS, MOTIONS, PATTERNS, PLACES, SHAPES


def one(**changes) -> Scene:
    toy = Toy("cube", "red", "plain", "still", 0.4)
    return Scene(5, "meadow", "static", (replace(toy, **changes),))


def test_the_same_scene_gives_the_same_pixels() -> None:
    scene = sample_scene(3)
    assert np.array_equal(render(scene, 5, 32, 48).frames, render(scene, 5, 32, 48).frames)
    assert render(scene, 5, 32, 48).frames.shape == (5, 32, 48, 3)


def test_a_scene_survives_json() -> None:
    scene = sample_scene(11)
    assert Scene.from_dict(json.loads(json.dumps(scene.to_dict()))) == scene


def test_training_and_held_out_seeds_are_apart() -> None:
    assert not set(TRAIN_SEEDS) & set(HELD_OUT_SEEDS)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_fills_a_fair_part_of_its_square(shape: str) -> None:
    mask = render(one(shape=shape, size=0.8), 1, 64, 64).masks[0, 0]
    assert 0.15 < mask.mean() < 0.6
    assert mask[:2].max() == 0 and mask[-2:].max() == 0


@pytest.mark.parametrize("background", PLACES)
@pytest.mark.parametrize("camera", CAMERAS)
def test_every_place_under_every_camera_is_a_picture(background: str, camera: str) -> None:
    frames = render(replace(one(), background=background, camera=camera), 3, 32, 32).frames
    assert frames.std() > 10
    assert (camera == "static") == np.array_equal(frames[0], frames[-1])


@pytest.mark.parametrize("motion", [motion for motion in MOTIONS if motion != "still"])
def test_every_motion_moves(motion: str) -> None:
    masks = render(one(motion=motion), 9, 32, 32).masks[0]
    assert np.abs(masks[1:] - masks[:-1]).sum() > 20


@pytest.mark.parametrize("motion", DIRECTIONS)
def test_the_direction_of_motion_can_be_measured(motion: str) -> None:
    assert direction(render(one(motion=motion), 17, 64, 64).frames) == motion


def test_surface_coordinates_name_the_same_point_of_the_toy_in_every_frame() -> None:
    """A tracked point's pixel shows the surface coordinates that the point has on the toy."""
    seen = render(one(motion="spin", size=0.6), 9, 96, 96)
    checked = 0
    for frame in range(9):
        for point in np.flatnonzero(seen.visible[0, frame]):
            x, y = seen.tracks[0, frame, point]
            found = seen.surface[0, frame, round(float(y)), round(float(x))]
            assert np.abs(found - seen.points[point]).max() < 0.04
            checked += 1
    assert checked > 100


def test_the_toy_in_front_hides_the_one_behind() -> None:
    back, front = one().subjects[0], replace(one().subjects[0], shape="ball", size=0.5)
    scene = replace(one(), subjects=(back, front))
    masks = render(scene, 1, 64, 64).masks
    assert (masks.sum(0) <= 1 + 1e-5).all()
    assert masks[0].sum() < 0.3 * render(one(), 1, 64, 64).masks[0].sum()
    assert not render(scene, 1, 64, 64).visible[0, 0, 12]  # the middle of the hidden toy


def test_captions_name_what_is_there_in_varied_words() -> None:
    scenes = [sample_scene(seed) for seed in range(200)]
    for scene in scenes:
        words = caption(scene)
        labels = scene.labels()
        assert labels["shape"] in words and labels["colour"] in words
        assert any(phrase in words for phrase in MOTIONS[labels["motion"]])
        assert any(phrase in words for phrase in PLACES[labels["background"]])
    assert len({caption(scene).split()[0] for scene in scenes}) > 1


def test_attributes_are_drawn_evenly() -> None:
    labels = [sample_scene(seed).labels() for seed in range(1500)]
    for name, values in (("shape", SHAPES), ("colour", COLOURS), ("pattern", PATTERNS), ("motion", MOTIONS), ("background", PLACES)):
        counts = [sum(row[name] == value for row in labels) for value in values]
        assert min(counts) > 0.6 * len(labels) / len(counts)


def test_a_still_scene_does_not_move() -> None:
    frames = render(still(sample_scene(4)), 3, 32, 32).frames
    assert np.array_equal(frames[0], frames[2])
    assert not any(phrase in caption(sample_scene(4), moving=False) for phrases in MOTIONS.values() for phrase in phrases)
