"""Requests: limits in words, tolerance for older and newer files, settings for forms and flags."""

import json
from typing import ClassVar

import pytest

from pipelines.errors import UserError
from pipelines.methods import REQUESTS
from pipelines.requests import MAX_PROMPT, MAX_SEED, Request, VideoRequest

Generate = REQUESTS["generate"]


@pytest.mark.parametrize("kind", REQUESTS.values(), ids=lambda kind: kind.method)
def test_every_setting_says_what_it_is(kind):
    for name, row in kind.settings().items():
        assert row["label"] and (row["help"] or row["unit"]), name
        if row["type"] in ("integer", "number") and not row["choices"]:
            assert "minimum" in row and "maximum" in row, name
            low, high = row["slider"] or (row["minimum"], row["maximum"])
            assert row["minimum"] <= low < high <= row["maximum"], name
    assert kind.read({}).to_json(), "defaults are valid"


@pytest.mark.parametrize("kind", REQUESTS.values(), ids=lambda kind: kind.method)
def test_methods_are_registered_under_their_name(kind):
    assert Request.kinds[kind.method] is kind


def test_text_and_back():
    request = Generate.read({"prompt": 'a "red" cube\n\u2028 立方体', "seed": MAX_SEED, "guidance": 4.5})
    assert Request.from_json(request.to_json()) == request
    assert type(Request.from_json(request.to_json())) is Generate


def test_a_missing_field_takes_its_default_and_an_unknown_one_survives():
    old = json.dumps({"method": "generate", "version": 0, "request": {"prompt": "a", "from_the_future": [1, {"x": None}]}})
    request = Request.from_json(old)
    assert request.steps == Generate().steps
    assert json.loads(request.to_json())["request"]["from_the_future"] == [1, {"x": None}]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"width": -64}, "Width must be 16 or more."),
        ({"height": 10**9}, "Height must be 2048 or less."),
        ({"frames": 0}, "Frames must be 1 or more."),
        ({"frames": 10**6}, "Frames must be 257 or less."),
        ({"seed": -2}, "Seed must be -1 or more."),
        ({"seed": 2**40}, f"Seed must be {MAX_SEED} or less."),
        ({"guidance": float("nan")}, "Guidance cannot be"),
        ({"guidance": float("inf")}, "Guidance"),
        ({"steps": "many"}, "Steps cannot be 'many'"),
        ({"steps": None}, "Steps cannot be"),
        ({"prompt": "x" * 10_000}, f"Prompt must have {MAX_PROMPT} characters or fewer."),
        ({"prompt": ["a", "b"]}, "Prompt cannot be"),
    ],
)
def test_what_does_not_fit_is_one_sentence(values, words):
    with pytest.raises(UserError, match=words.replace(".", r"\.")) as caught:
        Generate.read(values)
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".") and len(text) < 200


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "3", '"a"', "{}", '{"method": "generate"}', '{"method": [], "request": {}}', '{"method": "x", "request": {}}',
     '{"method": "generate", "request": 3}', '{"a":' * 5000],
)  # fmt: skip
def test_text_that_is_no_request(text):
    with pytest.raises(UserError, match="carries no Likeness settings") as caught:
        Request.from_json(text)
    assert "\n" not in str(caught.value)


def test_a_seed_is_drawn_once():
    drawn = Generate.read({"seed": -1}).with_seed()
    assert 0 <= drawn.seed <= MAX_SEED and drawn.with_seed() is drawn
    assert Generate.read({"seed": 5}).with_seed().seed == 5
    assert len({Generate.read({}).with_seed().seed for _ in range(20)}) > 1


def test_a_new_method_is_one_class(monkeypatch):
    monkeypatch.setattr(Request, "kinds", dict(Request.kinds))

    class Later(VideoRequest):
        """Something new."""

        method: ClassVar[str] = "later"

    assert type(Request.from_json(Later(prompt="a").to_json())) is Later
