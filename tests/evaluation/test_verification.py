"""The measure of verification."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.evaluation.verification import best_threshold, verification


def test_what_looks_alike_is_told_by_chance() -> None:
    assert all(verification([0.9, 0.8, 0.7, 0.95], [0.1, 0.2, -0.3, 0.3]))
    chance = verification(list(np.linspace(0, 1, 400)), list(np.linspace(0, 1, 400)))
    assert 0.35 < np.mean(chance) < 0.6


def test_verification_counts_pairs_told_right() -> None:
    same, different = np.linspace(0.6, 0.9, 50), np.linspace(-0.2, 0.4, 50)
    assert all(verification(same, different))
    right = verification([*same[:-1], np.nan], [*different[:-1], 0.95])
    assert right.count(False) == 2 and not right[49] and not right[99]


def test_the_best_threshold_lies_between() -> None:
    scores, truth = np.array([0.1, 0.8, 0.3, 0.6, np.nan]), np.array([False, True, False, True, True])
    assert best_threshold(scores, truth) == pytest.approx(0.45)
