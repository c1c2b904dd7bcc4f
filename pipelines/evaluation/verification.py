"""Telling from similarities whether two pictures show the same one: the measure of recognisers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def verification(same: Sequence[float], different: Sequence[float], folds: int = 10) -> list[bool]:
    """For each pair, whether a threshold on its similarity tells it right: the threshold that is best for the other folds.

    As is usual for faces (Huang et al. 2007, Labeled Faces in the Wild, section 5). A pair with NaN is told wrong.
    """
    scores, truth = np.array([*same, *different]), np.array([True] * len(same) + [False] * len(different))
    fold = np.array([*(np.arange(len(same)) % folds), *(np.arange(len(different)) % folds)])
    right = np.zeros(len(scores), bool)
    for part in range(folds):
        here = fold == part
        limit = best_threshold(scores[~here], truth[~here])
        right[here] = np.isfinite(scores[here]) & ((scores[here] >= limit) == truth[here])
    return right.tolist()


def best_threshold(scores: np.ndarray, truth: np.ndarray) -> float:
    """The similarity from which on most pairs (N,) are told right as `truth` (N,) bool says; NaN scores are left out."""
    known = np.isfinite(scores)
    order = np.argsort(scores[known])
    values, same = scores[known][order], truth[known][order]
    right = np.concatenate([[0], np.cumsum(~same)]) + np.concatenate([np.cumsum(same[::-1])[::-1], [0]])
    between = np.concatenate([[-1.0], (values[1:] + values[:-1]) / 2, [1.1]])
    return float(between[right.argmax()])
