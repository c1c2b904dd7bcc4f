"""The Storyboard tab's form, and what the studio makes of a board that is asked for."""

from __future__ import annotations

import re
from pathlib import Path

import gradio as gr
import pytest
from starlette.testclient import TestClient
from visiting import OURS, STORE, visitor

from pipelines.methods.storyboard.plan import windows
from pipelines.methods.storyboard.request import StoryboardRequest
from pipelines.playground import vocabulary
from studio import media
from studio.api import Api
from studio.form import Form
from studio.library import Library
from studio.library.library import MOST_BOARDS
from studio.panels.storyboard import EXAMPLES, STOPS, stops

OWNER = "0" * 32
SHOTS = ({"text": "jumps in the snow"}, {"text": "spins in the desert", "seed": 9})


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "visitors")


@pytest.fixture
def page(idle_jobs, library: Library) -> TestClient:
    return visitor([*media.routes(idle_jobs), *Api(idle_jobs, STORE, library).routes()])


def ask(page: TestClient, path: str = "jobs", **settings) -> dict:
    return page.post(f"/studio/{path}", json={"method": "storyboard", "settings": settings}, headers=OURS).json()


@pytest.mark.parametrize("place", [0, 7, STOPS - 1])
def test_both_sliders_together_set_what_they_stand_for(place: int) -> None:
    share, table = place / (STOPS - 1), stops()
    assert table["consistency"][place] | table["freedom"][place] == windows(share, share)
    assert not set(table["consistency"][0]) & set(table["freedom"][0])


def test_in_the_middle_the_sliders_are_the_forms_own_defaults() -> None:
    settings = StoryboardRequest.settings()
    for row in stops().values():
        assert len(row) == STOPS
        assert all(settings[name]["default"] == value for name, value in row[STOPS // 2].items())


def test_the_examples_say_what_the_playground_knows() -> None:
    tables = (vocabulary.PLACES, vocabulary.MOTIONS)
    known = {word for table in tables for phrases in table.values() for phrase in phrases for word in phrase.split()}
    known |= {"a", *vocabulary.COLOURS, *vocabulary.SHAPES, *vocabulary.PATTERNS}
    for example in EXAMPLES:
        assert set(re.findall(r"\w+", " ".join([example["prompt"], *example["shots"]]))) <= known


def test_a_fresh_form_has_what_its_model_would_like() -> None:
    with gr.Blocks():
        form = Form(StoryboardRequest, [("Playground", "playground-wan")])
        form.place("masks")
    assert form.widgets["masks"].value == "preview"


def test_a_board_is_queued_with_all_its_seeds_and_a_folder_of_its_own(page: TestClient) -> None:
    ask(page, prompt="a red star", shots=SHOTS, folder="../elsewhere")
    (queued,) = page.get("/studio/jobs").json()
    request = queued["request"]
    assert request["seed"] >= 0 and request["shots"][1]["seed"] == 9 and request["shots"][0]["seed"] == request["seed"]
    assert re.fullmatch(r"boards/[0-9a-f]{16}", request["folder"])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"prompt": "a red star"}, "The board has no shots"),
        ({"prompt": " ", "shots": SHOTS}, "The character is empty"),
        ({"prompt": "a red star", "shots": SHOTS * 21}, "shots cannot be"),
        ({"prompt": "a red star", "shots": SHOTS, "subject": "subjects/rex"}, "There is no subject in rex"),
    ],
)
def test_what_cannot_be_drawn_gets_one_sentence(page: TestClient, settings: dict, says: str) -> None:
    error = ask(page, **settings)["error"]
    assert error.startswith(says) and error.endswith(".")


def test_an_estimate_counts_the_shots_and_tells_of_empty_ones(page: TestClient) -> None:
    def told(prompt: str = "a red star", **settings) -> dict:
        return ask(page, "estimate", model="playground-wan", prompt=prompt, **settings)

    assert told(shots=SHOTS * 4)["seconds"] > 3 * told(shots=SHOTS)["seconds"]
    assert "Shot 1 says nothing" in " ".join(told(shots=[{"text": ""}])["notes"])
    assert "error" not in told(prompt="")


def test_unfinished_boards_do_not_pile_up(library: Library) -> None:
    folder = library.files(OWNER).find("boards")
    request = StoryboardRequest(prompt="a red star", shots=SHOTS)
    for _ in range(MOST_BOARDS + 3):
        library.files(OWNER).find(library.settle(OWNER, request).folder).mkdir(parents=True)
    assert len([*folder.iterdir()]) == MOST_BOARDS + 1, "the fresh one has its folder made after the old ones went"


def test_the_character_reads_as_the_subject(library: Library, rex: Path) -> None:
    slug = library.take_in(OWNER, rex)
    request = StoryboardRequest(prompt="a ball", model="tiny", subject=f"subjects/{slug}", shots=SHOTS)
    assert library.reads(OWNER, request) == "a <rex> ball"
    with pytest.raises(ValueError, match="was made on tiny"):
        library.reads(OWNER, request.model_copy(update={"model": "playground-wan"}))
