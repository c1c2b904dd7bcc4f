"""The world is repeatable, and what it says of its pictures is true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.playground.render import Rendering, render
from pipelines.playground.scene import Person, Scene, Toy, instance, sample_scene, still
from pipelines.playground.vocabulary import (
    CAMERAS,
    COLOURS,
    EFFECTS,
    EXPRESSIONS,
    HAIR_STYLES,
    MOTIONS,
    PATTERNS,
    PERSON_MOTIONS,
    PLACES,
    SHAPES,
)

WAYS = {"left": (-1, 0), "right": (1, 0), "rise": (0, -1), "fall": (0, 1)}


def one(**changes) -> Scene:
    toy = Toy("cube", "red", "plain", "still", 0.4)
    return Scene(5, "meadow", "static", (replace(toy, **changes),))


def person(**changes) -> Scene:
    return Scene(5, "meadow", "static", (replace(Person(3, "neutral", "still"), **changes),))


def centres(masks: np.ndarray) -> np.ndarray:
    """(T, 2) centroids (x, y) in pixels of masks (T, H, W)."""
    rows, columns = np.mgrid[: masks.shape[1], : masks.shape[2]]
    return np.stack([(masks * place).sum((1, 2)) / masks.sum((1, 2)) for place in (columns, rows)], 1)


@pytest.mark.parametrize("kind", ["toy", "instance", "toys", "person"])
def test_the_same_scene_gives_the_same_pixels(kind: str) -> None:
    scene = replace(sample_scene(3, kind), effects=("sparks",))
    assert np.array_equal(render(scene, 5, 32, 48).frames, render(scene, 5, 32, 48).frames)
    assert render(scene, 5, 32, 48).frames.shape == (5, 32, 48, 3)


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


@pytest.mark.parametrize("motion", [motion for motion in PERSON_MOTIONS if motion != "still"])
def test_every_motion_of_a_person_changes_the_picture(motion: str) -> None:
    frames = render(person(motion=motion), 9, 48, 48).frames.astype(int)
    assert np.abs(frames - frames[:1]).max() > 40


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("colour", COLOURS)
def test_every_colour_in_every_pattern_is_a_picture_of_its_own(colour: str, pattern: str) -> None:
    frames = render(one(colour=colour, pattern=pattern), 1, 32, 32).frames.astype(int)
    others = [name for name in COLOURS if name != colour]
    assert all(np.abs(frames - render(one(colour=name, pattern=pattern), 1, 32, 32).frames).max() > 15 for name in others[:3])


def test_every_expression_is_a_picture_of_its_own() -> None:
    pictures = [render(person(expression=name), 1, 64, 64).frames.astype(int) for name in EXPRESSIONS]
    assert all(np.abs(a - b).max() > 40 for i, a in enumerate(pictures) for b in pictures[:i])


def test_every_hair_style_comes_up_among_a_few_identities() -> None:
    assert {person(identity=seed).labels()["hair"] for seed in range(100)} == set(HAIR_STYLES)


@pytest.mark.parametrize("motion", WAYS)
def test_a_subject_goes_where_its_motion_says(motion: str) -> None:
    way = np.diff(centres(render(one(motion=motion), 9, 64, 64).masks[0])[[0, -1]], axis=0)[0]
    assert way @ np.array(WAYS[motion]) > 20 and abs(way @ np.array(WAYS[motion])[::-1]) < 3


def agreement(seen: Rendering) -> np.ndarray:
    """Distances between the surface coordinates at the pixel of a visible tracked point and those of the point itself."""
    n, t, p = np.nonzero(seen.visible)
    x, y = np.round(seen.tracks[n, t, p]).astype(int).T
    return np.linalg.norm(seen.surface[n, t, y, x] - seen.points[n, p], axis=-1)


@pytest.mark.parametrize("motion", ["spin", "bounce", "zigzag", "grow"])
@pytest.mark.parametrize("camera", ["static", "zoom in", "zoom out"])
def test_tracks_and_surface_coordinates_agree(motion: str, camera: str) -> None:
    """A tracked point's pixel shows the surface coordinates that the point has on the toy, half a pixel apart at most."""
    distances = agreement(render(replace(one(motion=motion, size=0.5), camera=camera), 9, 96, 64))
    assert len(distances) > 100
    assert distances.max() < 0.08


def test_tracks_and_surface_coordinates_of_people_agree() -> None:
    distances = agreement(render(replace(person(motion="turn"), camera="zoom in"), 5, 96, 96))
    assert len(distances) > 30
    assert np.median(distances) < 0.05 and distances.max() < 0.15


def test_the_toy_in_front_hides_the_one_behind() -> None:
    back, front = one().subjects[0], replace(one().subjects[0], shape="ball", size=0.5)
    seen = render(replace(one(), subjects=(back, front)), 1, 64, 64)
    assert (seen.masks.sum(0) <= 1 + 1e-5).all()
    assert seen.masks[0].sum() < 0.3 * render(one(), 1, 64, 64).masks[0].sum()
    assert not seen.visible[0, 0, 12]  # the middle of the hidden toy
    assert seen.visible[1, 0, 12]
    assert seen.depth.tolist() == [1, 0]


def test_two_toys_are_both_to_be_seen() -> None:
    for seed in range(6):
        scene = replace(sample_scene(seed, "toys"), effects=())
        both = render(scene, 9, 48, 48)
        alone = render(replace(scene, subjects=scene.subjects[:1]), 9, 48, 48)
        assert (both.masks.sum(0) <= 1 + 1e-5).all()
        assert both.masks[0].sum() > 0.5 * alone.masks[0].sum()


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("kind", ["toy", "person"])
def test_effects_change_the_picture_over_time_and_nothing_else(effect: str, kind: str) -> None:
    scene = still(replace(sample_scene(2, kind), effects=()))
    dry, seen = render(scene, 5, 64, 64), render(replace(scene, effects=(effect,)), 5, 64, 64)
    assert np.abs(dry.frames.astype(int) - seen.frames).mean() > 5
    assert np.abs(seen.frames[0].astype(int) - seen.frames[-1]).mean() > 0.5
    assert np.array_equal(dry.tracks, seen.tracks)
    if effect != "water":
        assert np.array_equal(dry.masks, seen.masks)
        assert np.array_equal(dry.visible, seen.visible)


def test_what_is_under_water_is_not_visible() -> None:
    dry, wet = render(one(size=0.6), 3, 64, 64), render(replace(one(size=0.6), effects=("water",)), 3, 64, 64)
    assert (wet.masks <= dry.masks + 1e-6).all()
    assert 0.3 * dry.masks.sum() < wet.masks.sum() < 0.9 * dry.masks.sum()
    assert wet.masks[0, :, 50:].max() == 0
    assert np.isnan(wet.surface[0, :, 50:]).all()
    assert wet.visible.sum() < dry.visible.sum()


def test_a_marking_is_its_toys_own() -> None:
    """Same seed, same toy; another seed marks the same toy differently, visibly so even in a small picture."""
    assert instance(7) == instance(7)
    plain = one(shape="ball", size=0.5)
    pictures = [render(plain, 1, 64, 64).frames.astype(int)]
    pictures += [render(one(shape="ball", size=0.5, emblem=seed), 1, 64, 64).frames.astype(int) for seed in range(8)]
    body = render(plain, 1, 64, 64).masks[0, 0] > 0.9
    for index, picture in enumerate(pictures):
        for other in pictures[:index]:
            assert (np.abs(picture - other)[0].max(-1)[body] > 40).mean() > 0.08


def test_an_instance_carries_its_marking_wherever_it_is() -> None:
    """Looked up by surface coordinates, the hues of one instance agree between a rendering at rest and one that spins."""
    toy = replace(instance(12), size=0.6)
    still, turned = (render(Scene(1, "night", "static", (replace(toy, motion=motion),)), 1, 96, 96) for motion in ("still", "spin"))
    common = still.visible[0, 0] & turned.visible[0, 0]
    hues = []
    for seen in (still, turned):
        column, row = np.round(seen.tracks[0, 0, common]).astype(int).T
        shown = seen.frames[0, row, column].astype(float)
        hues.append(shown / shown.sum(1, keepdims=True))  # light and shadow differ
    assert np.abs(still.tracks - turned.tracks).max() > 8
    assert np.median(np.abs(hues[0] - hues[1])) < 0.05


def test_a_face_has_landmarks_and_a_box_and_a_toy_has_none() -> None:
    seen = render(person(size=0.5), 3, 96, 96)
    left, right, nose, mouth_left, mouth_right = seen.landmarks[0, 0]
    assert left[0] < nose[0] < right[0] and mouth_left[0] < mouth_right[0]
    assert left[1] < nose[1] < mouth_left[1]
    x1, y1, x2, y2 = seen.faces[0, 0]
    assert ((seen.landmarks[0, 0] > (x1, y1)) & (seen.landmarks[0, 0] < (x2, y2))).all()
    assert np.isnan(render(one(), 1, 32, 32).landmarks).all() and np.isnan(render(one(), 1, 32, 32).faces).all()


def test_a_still_scene_does_not_move() -> None:
    scene = replace(still(sample_scene(4, "toy")), effects=())
    frames = render(scene, 3, 32, 32).frames
    assert np.array_equal(frames[0], frames[2])
