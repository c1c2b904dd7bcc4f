"""Laws of the metrics: perfect is 1, reversed is -1, and what should not matter does not."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.evaluation.metrics import (
    compare_motion,
    cosines,
    flicker,
    identity_leak,
    is_dynamic,
    motion_fidelity,
    optical_flow,
    outside_change,
    pck,
    set_similarity,
    similarity,
    speeds,
    temporal_coherence,
)


@pytest.fixture
def draw() -> np.random.Generator:
    return np.random.default_rng(0)


def test_points_count_within_alpha_of_the_longer_side() -> None:
    truth = np.array([[10.0, 10], [20, 20], [np.nan, 5]])
    found = truth + np.array([[3, 4], [3.1, 4], [0, 0]])
    assert pck(found, truth, side=100).tolist() == [True, False]
    assert pck(found, truth, side=100, alpha=0.1).all()


def test_similarity_is_a_cosine_whatever_the_length(draw) -> None:
    one = draw.normal(size=(4, 8))
    assert similarity(one[:1], 3 * one[:1]) == pytest.approx(1)
    assert similarity(one[:1], -one[:1]) == pytest.approx(-1)
    assert cosines(one, one[:2]).shape == (4, 2)
    with pytest.raises(ValueError, match="no length"):
        similarity(one, np.zeros((1, 8)))


def test_a_still_clip_is_coherent_calm_and_not_dynamic(draw) -> None:
    still = np.repeat(draw.integers(0, 255, (1, 64, 64, 3), dtype=np.uint8), 5, 0)
    assert flicker(still) == 1 and not is_dynamic(still)
    assert temporal_coherence(np.repeat(draw.normal(size=(1, 8)), 5, 0)) == pytest.approx(1)


def moved(draw, step: int) -> np.ndarray:
    """A smooth texture that goes `step` pixels to the right in each frame."""
    import cv2

    wide = cv2.GaussianBlur(draw.uniform(0, 255, (64, 160, 3)), (0, 0), 3)
    wide = ((wide - wide.min()) / np.ptp(wide) * 255).astype(np.uint8)
    return np.stack([wide[:, 60 - step * at : 124 - step * at] for at in range(6)])


def test_flow_is_displacement_in_pixels(draw) -> None:
    flow = optical_flow(moved(draw, 3))[:, 16:48, 16:48]
    assert np.abs(flow[..., 0].mean() - 3) < 0.3 and np.abs(flow[..., 1].mean()) < 0.3
    assert is_dynamic(moved(draw, 3)) and not is_dynamic(moved(draw, 1))


def test_speeds_are_those_of_the_fastest() -> None:
    flow = np.zeros((2, 10, 10, 2))
    flow[0, 0, :5] = (3, 4)
    assert speeds(flow).tolist() == [5, 0]


def test_only_what_is_outside_counts(draw) -> None:
    first = draw.integers(0, 255, (2, 8, 8, 3), dtype=np.uint8)
    second, mask = first.copy(), np.zeros((2, 8, 8), bool)
    mask[:, :4] = True
    second[:, :4] = 0
    assert outside_change(first, second, mask) == 0
    assert outside_change(first, second, ~mask) > 0.2
    assert np.isnan(outside_change(first, second, np.ones_like(mask)))


def test_motion_is_like_itself_and_unlike_its_reverse(draw) -> None:
    paths = np.cumsum(draw.normal(size=(7, 9, 2)), axis=1)
    assert motion_fidelity(paths, paths) == pytest.approx(1)
    uniform = np.arange(9)[:, None] * np.array([1.0, 2.0]) + np.zeros((3, 1, 1))
    assert motion_fidelity(uniform, uniform[:, ::-1]) == pytest.approx(-1)


def test_motion_does_not_depend_on_place_size_or_order(draw) -> None:
    first, second = np.cumsum(draw.normal(size=(2, 7, 9, 2)), axis=2)
    fidelity = motion_fidelity(first, second)
    assert motion_fidelity(5 * first + 30, second) == pytest.approx(fidelity)
    assert motion_fidelity(first[::-1], second) == pytest.approx(fidelity)
    assert motion_fidelity(second, first) == pytest.approx(fidelity)


def test_points_at_rest_are_left_out_and_counted(draw) -> None:
    paths = np.cumsum(draw.normal(size=(4, 9, 2)), axis=1)
    some = paths.copy()
    some[2] = 5.0
    told = compare_motion(some, paths)
    assert told.score == pytest.approx(motion_fidelity(paths[[0, 1, 3]], paths))
    assert told.counted == (3, 4) and told.left_out == (1, 0)
    noise = some + draw.uniform(-0.01, 0.01, some.shape)
    assert compare_motion(noise, paths, still=0.1).left_out == (1, 0)
    still = compare_motion(np.zeros((2, 9, 2)), paths)
    assert np.isnan(still.score) and still.left_out == (2, 4), "nothing is left to compare the others with"
    assert np.isnan(motion_fidelity(np.zeros((0, 9, 2)), paths))


def test_a_track_counts_for_the_frames_in_which_it_is_seen(draw) -> None:
    paths = np.cumsum(draw.normal(size=(5, 9, 2)), axis=1)
    parts = paths.copy()
    parts[0, 5:], parts[1, :3], parts[2, 4] = np.nan, np.nan, np.nan
    told = compare_motion(parts, paths)
    assert told.counted == (5, 5) and told.left_out == (0, 0)
    assert told.score > 0.95, "what is seen moves as the source does"
    assert motion_fidelity(parts, parts) == pytest.approx(1)
    assert motion_fidelity(parts + 7, 2 * parts[::-1]) == pytest.approx(1)
    once = paths.copy()
    once[3, 1:] = np.nan
    assert compare_motion(once, paths).left_out == (1, 0), "one frame is no motion"


def test_a_glimpse_is_no_match_for_a_whole_track() -> None:
    """A point that is seen for one step going left does not make a clip that goes right like one that goes left."""
    right = np.arange(9)[:, None] * np.array([1.0, 0.0]) + np.zeros((3, 1, 1))
    glimpse = -right[:1].copy()
    glimpse[:, 2:] = np.nan
    assert motion_fidelity(np.concatenate([right, glimpse]), -right) == pytest.approx(-1, abs=0.2)


def test_a_pause_is_part_of_the_motion(draw) -> None:
    paths = np.cumsum(draw.normal(size=(3, 9, 2)), axis=1)
    paths[:, 4:7] = paths[:, 4:5]
    assert motion_fidelity(paths, paths) == pytest.approx(1)
    steady = np.arange(9)[:, None] * np.array([[[2.0, 1.0]]])
    halting = steady[:, [0, 1, 2, 3, 4, 4, 4, 4, 4]]
    assert motion_fidelity(halting, steady) == pytest.approx(0.5)


def test_a_leak_is_likeness_to_the_source_that_injection_brought_in(draw) -> None:
    source, plain, unlike = draw.normal(size=(3, 5, 64)) + np.eye(3, 64)[:, None] * 20
    assert identity_leak(source[:1], source[:1]) == pytest.approx(1)
    assert abs(identity_leak(unlike, source)) < 0.2
    assert identity_leak(unlike, source) == similarity(unlike, source)
    assert identity_leak(plain, source, plain) == 0
    half = 0.5 * plain + 0.5 * source
    assert 0 < identity_leak(half, source, plain) < identity_leak(source, source, plain)


def test_the_same_character_in_all_shots_is_wholly_alike_and_shots_without_one_are_reported() -> None:
    draw = np.random.default_rng(0)
    frame, other = draw.normal(size=(1, 8)), draw.normal(size=(3, 8))
    table = set_similarity([frame.repeat(4, 0), frame.repeat(2, 0), other, np.empty((0, 8))])
    assert table[0, 1] == pytest.approx(1) and table[0, 2] == pytest.approx(similarity(frame, other))
    assert np.isnan(table[3]).all() and np.isnan(np.diagonal(table)).all()
    assert np.array_equal(table, table.T, equal_nan=True)
