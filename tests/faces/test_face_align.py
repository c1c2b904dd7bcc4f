"""Aligned faces have eyes, nose and mouth where they are expected, to the pixel."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.faces import Detector, arcface_crop, choose, reference_crop
from pipelines.faces.align import ARCFACE, REFERENCE, moved, similarity
from pipelines.playground.render import Rendering

TURNED = np.array(((0.6, -0.8), (0.8, 0.6)))


def test_the_places_of_the_released_weights() -> None:
    expected = [(99.67, 121.11), (156.05, 120.80), (128.04, 153.18), (104.88, 186.19), (151.57, 185.93)]
    np.testing.assert_allclose(REFERENCE, expected, atol=0.01)


@pytest.mark.parametrize("scale", [0.02, 1.0, 30.0])
def test_a_known_movement_is_undone(scale: float) -> None:
    points = ARCFACE @ TURNED * scale + (300, -40)
    matrix = similarity(points, ARCFACE)
    np.testing.assert_allclose(moved(points, matrix), ARCFACE, atol=1e-6)
    np.testing.assert_allclose(matrix[:, :2] @ matrix[:, :2].T, np.eye(2) / scale**2, rtol=1e-6, atol=1e-9)


def test_a_face_is_never_mirrored() -> None:
    matrix = similarity(ARCFACE * (-1, 1), ARCFACE)
    assert np.linalg.det(matrix[:, :2]) > 0
    assert np.abs(moved(ARCFACE * (-1, 1), matrix) - ARCFACE).max() > 10


def test_of_points_that_do_not_fit_the_distances_are_least() -> None:
    draw = np.random.default_rng(0)
    points = ARCFACE + draw.normal(0, 4, (5, 2))
    matrix = similarity(points, ARCFACE)
    least = np.square(moved(points, matrix) - ARCFACE).sum()
    for _ in range(50):
        angle, scale = draw.normal(0, 0.05), np.exp(draw.normal(0, 0.05))
        turn = scale * np.array(((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))))
        other = turn @ matrix + np.c_[np.zeros((2, 2)), draw.normal(0, 1, 2)]
        assert np.square(moved(points, other) - ARCFACE).sum() >= least


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((5, 2), np.nan), np.full((5, 2), 7.0) + 1e-9 * np.arange(10).reshape(5, 2)])
def test_key_points_in_one_place_are_a_sentence(points: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"^The key points of the face lie in one place[^.]*\.$"):
        arcface_crop(np.zeros((64, 64, 3), np.uint8), points)


def test_crops_are_those_of_insightface(people: list[Rendering]) -> None:
    from insightface.utils.face_align import norm_crop

    for person in people:
        marks = person.landmarks[-1, 0]
        for size in (112, 224):
            ours, theirs = arcface_crop(person.frames[0], marks, size), norm_crop(person.frames[0], marks, size)
            assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1


def dotted(points: np.ndarray) -> np.ndarray:
    """(400, 400, 3) uint8 with a soft white dot at each of `points` (N, 2)."""
    y, x = np.mgrid[:400, :400][..., None]
    light = np.exp(-((x - points[:, 0]) ** 2 + (y - points[:, 1]) ** 2) / (2 * 3.0**2)).max(-1)
    return np.repeat((255 * light).round().astype(np.uint8)[..., None], 3, -1)


@pytest.mark.parametrize(
    ("crop", "places", "size"), [(arcface_crop, ARCFACE, 112), (reference_crop, REFERENCE, 256), (reference_crop, REFERENCE, 64)]
)
def test_what_is_at_the_key_points_is_at_the_places(crop, places: np.ndarray, size: int) -> None:
    """Measured in the pixels of the crop, for a face that is larger, tilted and somewhere else."""
    points = (places - places.mean(0)) * (256 / len_of(crop)) @ TURNED + (210, 190)
    picture = crop(dotted(points), points, size)[..., 0].astype(float)
    y, x = np.mgrid[:size, :size]
    for place in places * (size / len_of(crop)):
        near = picture * (np.hypot(x - place[0], y - place[1]) < 7 * size / 256 + 1)
        centre = np.array(((near * x).sum(), (near * y).sum())) / near.sum()
        assert np.abs(centre - place).max() < 0.3


def len_of(crop) -> int:
    """Side in pixels that the places of `crop` are given for."""
    return 112 if crop is arcface_crop else 256


@pytest.mark.parametrize(("size", "places"), [(256, REFERENCE), (112, ARCFACE)])
def test_a_face_looked_for_in_its_crop_is_at_the_places(size: int, places: np.ndarray, detector: Detector, people: list[Rendering]) -> None:
    """Of real renderings, within what five points of a face can differ from those of the average one."""
    apart = np.linalg.norm(places[0] - places[1])
    for person in people:
        marks = person.landmarks[-1, 0]
        crop = (reference_crop if size == 256 else arcface_crop)(person.frames[0], marks)
        face = choose(detector.detect(crop))
        expected = moved(marks, similarity(marks, places))
        assert np.linalg.norm(face.landmarks - expected, axis=1).mean() < 0.3 * apart
        assert np.abs(face.landmarks.mean(0) - places.mean(0)).max() < 0.25 * apart


def test_beyond_the_picture_the_crop_is_black() -> None:
    crop = reference_crop(np.full((300, 300, 3), 200, np.uint8), REFERENCE - (100, 0))
    assert (crop[:, :99] == 0).all() and (crop[:, 101:] == 200).all()


def test_the_picture_stays_and_the_crop_is_new(people: list[Rendering]) -> None:
    picture = people[0].frames[0]
    before = picture.copy()
    crop = reference_crop(picture, people[0].landmarks[-1, 0], 64)
    assert crop.shape == (64, 64, 3) and crop.dtype == np.uint8 and crop.flags.c_contiguous
    np.testing.assert_array_equal(picture, before)


def test_a_very_wide_picture_can_be_cropped() -> None:
    draw = np.random.default_rng(0)
    wide = draw.integers(256, size=(130, 40_000, 3), dtype=np.uint8)
    np.testing.assert_array_equal(arcface_crop(wide, ARCFACE + np.array((39_000, 10))), wide[10:122, 39_000:39_112])
