"""What a training costs before it is begun: the paper's figure, and what follows from sizes."""

from __future__ import annotations

import pytest

from pipelines.errors import UserError
from pipelines.methods.subject_training.cost import expected, seconds_for, sizes_of, step_of
from pipelines.methods.subject_training.plan import check, costs, estimate, plan
from pipelines.methods.subject_training.request import TrainSubjectsRequest
from pipelines.models.registry import entry


def ask(**values) -> TrainSubjectsRequest:
    return TrainSubjectsRequest.read({"folder": "adapter"} | values)


def test_the_papers_figure() -> None:
    assert expected(0.2, 13) == pytest.approx(34.6) and expected(0, 13) == 1 and expected(1, 13) == 169
    paper = ask(preset="paper", model="cogvideox-5b", width=720, height=480, frames=49)
    found = costs(paper, entry("cogvideox-5b"))
    assert found.attention == pytest.approx(34.6) and found.frames == 13
    assert (found.steps["images"].tokens, found.steps["clips"].tokens) == (226 + 2 * 1350, 226 + 14 * 1350)
    assert found.tokens == pytest.approx(0.8 * 256 * 2926 + 0.2 * 32 * 19126)
    assert "34.6" in plan(paper, entry("cogvideox-5b")).notes[-1]


def test_models_say_their_own_sizes() -> None:
    model = entry("playground-cogvideox")
    assert sizes_of(model).latent_frames(17) == 9 and sizes_of(model).text == 64
    found = costs(ask(), model)
    assert (found.steps["images"].tokens, found.steps["clips"].tokens) == (64 + 2 * 64, 64 + 10 * 64)


def test_more_is_dearer() -> None:
    model = entry("playground-cogvideox")
    plain, long = (estimate(ask(preset=preset), model, True) for preset in ("quick", "standard"))
    assert long.seconds == pytest.approx(8 * plain.seconds, rel=0.01) and plain.download_bytes == 0
    assert estimate(ask(baseline="image-only"), model, True).seconds < long.seconds
    assert estimate(ask(minutes=3), model, True).seconds == 180
    assert step_of(9, 64, 64, 4, model).operations == pytest.approx(2 * step_of(9, 64, 64, 2, model).operations)


def test_hours_follow_from_a_few_measured_steps() -> None:
    assert seconds_for(100, 0.2, {"images": 1.0, "clips": 5.0}) == pytest.approx(180)
    assert seconds_for(100, 0.2, {"images": 1.0}) == pytest.approx(80)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pairs": " "}, "no pairs"),
        ({"clips": ""}, "no clips"),
        ({"clips": "folder"}, "different worlds"),
        ({"pairs": "folder"}, "different worlds"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(values: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(ask(**values))
    check(ask()), check(ask(pairs="a", clips="b")), check(ask(pairs="a", clips="", baseline="image-only"))


def test_other_families_are_refused() -> None:
    with pytest.raises(UserError, match="CogVideoX"):
        plan(ask(model="playground-wan"), entry("playground-wan"))
