"""Laws of the metrics: perfect is 1, reversed is -1, and what should not matter does not."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.evaluation.metrics import (
    cosines,
    flicker,
    is_dynamic,
    motion_fidelity,
    optical_flow,
    outside_change,
    pck,
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


def test_points_at_rest_or_unseen_are_left_out(draw) -> None:
    paths = np.cumsum(draw.normal(size=(4, 9, 2)), axis=1)
    lost = paths.copy()
    lost[1, 3], lost[2] = np.nan, 5.0
    assert motion_fidelity(lost, paths) == pytest.approx(motion_fidelity(paths[[0, 3]], paths))
    assert np.isnan(motion_fidelity(np.zeros((2, 9, 2)), paths))
