"""What is asked of a person in the evaluation, and how the answers are counted."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.faces import Detector, choose, pack
from pipelines.methods.face_identity.claims import area, case_of
from pipelines.playground.scene import TRAIN_IDENTITIES, TRAIN_SEEDS
from pipelines.playground.vocabulary import HAIR_COLOURS, PLACES


@pytest.mark.parametrize(
    ("own", "other", "share"), [((0.8, 0.9), (0.1, 0.2), 1.0), ((0.1,), (0.5, 0.6), 0.0), ((0.5, 0.5), (0.5,), 0.5), ((1, 3), (2,), 0.5)]
)
def test_the_area_is_the_share_of_pairs_in_order(own: tuple, other: tuple, share: float) -> None:
    assert area(own, other) == share


def test_the_photo_shows_a_face_and_the_prompt_says_nothing_of_it() -> None:
    detector = Detector.open(pack().find(), "cpu", embed=False)
    cases = [case_of(index, TRAIN_IDENTITIES, TRAIN_SEEDS) for index in range(4)]
    for case in cases:
        assert choose(detector.detect(case.photo)).height > 30
        assert not set(HAIR_COLOURS) & set(case.prompt.split()) and PLACES[case.place][0] in case.prompt
    again = case_of(1, TRAIN_IDENTITIES, TRAIN_SEEDS)
    assert np.array_equal(again.photo, cases[1].photo) and again.prompt == cases[1].prompt
