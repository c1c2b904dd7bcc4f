"""Trainings of adapters over HTTP: where they are kept, that they go on, and how their curves grow."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from procedural import ended, wait_for
from starlette.testclient import TestClient
from visiting import OURS, STORE, visitor

from pipelines.events import Preview, Progress, Result
from pipelines.methods.face_training.request import TrainFaceRequest
from pipelines.methods.subject_training.request import TrainSubjectsRequest
from pipelines.requests import Request
from studio import media, shell
from studio.api import Api
from studio.jobs import Jobs
from studio.jobs.record import Record, pack
from studio.jobs.shown import MOST_POINTS, curves_of
from studio.library import Library
from studio.library import adapters as kept
from studio.library.routes import LibraryRoutes


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "visitors")


def visiting(jobs: Jobs, library: Library, trains: bool = True) -> TestClient:
    routes = LibraryRoutes(library, jobs, threading.Event()).routes()
    return visitor([*media.routes(jobs), *Api(jobs, STORE, library, trains).routes(), *routes])


def post(page: TestClient, path: str, **body: Any) -> dict:
    return page.post(f"/studio/{path}", json=body, headers=OURS).json()


def train(page: TestClient, method: str = "train-subjects", **settings: Any) -> dict:
    return post(page, "jobs", method=method, settings={"steps": 4} | ({"drawn": 64} if method == "train-face" else {}) | settings)


def learn(library: Library):
    """A training that keeps how far it is and can be stopped."""

    def run(request: Request, owner: str):
        folder = library.files(owner).find(request.folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = folder / "adapter.safetensors"
        first = int(state.read_text()) if state.exists() else 0
        for step in range(first, request.total_steps):
            state.write_text(str(step + 1))
            yield Preview("curve", "loss images", step, np.linspace(1, 0, step + 1))
            yield Progress("training", step + 1, request.total_steps)
            if step == 1 and not first:
                threading.Event().wait(0.3)
        yield Result(request, None, values={"first": first})

    return run


def test_each_training_has_a_folder_of_its_own_and_is_kept_under_its_name(idle_jobs: Jobs, library: Library) -> None:
    page = visiting(idle_jobs, library)
    for method, name in (("train-subjects", "Tea pots"), ("train-subjects", "Tea pots"), ("train-face", "")):
        assert "id" in train(page, method, name=name, folder="../../elsewhere")
    folders = [job["request"]["folder"] for job in reversed(page.get("/studio/jobs").json())]
    assert folders == ["adapters/tea-pots/weights", "adapters/tea-pots-2/weights", "adapters/my-faces/weights"]
    assert page.get("/studio/library").json()["adapters"] == []  # nothing has been learnt yet


def test_an_estimate_takes_down_nothing(idle_jobs: Jobs, library: Library) -> None:
    answer = post(visiting(idle_jobs, library), "estimate", method="train-subjects", settings={"model": "playground-cogvideox"})
    assert answer["seconds"] > 0 and "A step is" in answer["notes"][0] and not list(library.root.glob("*/adapters/*"))


@pytest.mark.parametrize(
    ("method", "values", "says"),
    [
        ("train-subjects", {"model": "/etc"}, "There is no model called"),
        ("train-subjects", {"pairs": ""}, "There are no pairs"),
        ("train-face", {"drawn": 0}, "Say whom to learn from"),
        ("train-face", {"drawn": 0, "people": "photos"}, "Consent is missing"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(idle_jobs: Jobs, library: Library, method: str, values: dict, says: str) -> None:
    page = visiting(idle_jobs, library)
    error = train(page, method, **values)["error"]
    assert error.startswith(says) and error.endswith(".") and "\n" not in error


def test_it_stops_and_goes_on_in_the_same_folder_with_its_curves(open_jobs, library: Library) -> None:
    jobs = open_jobs(learn(library))
    page = visiting(jobs, library)
    job = train(page, steps=6, name="Toys")["id"]
    (owner,) = (entry.owner for entry in jobs._ledger.entries.values())
    wait_for(jobs, owner, job, lambda one: one.step >= 2)
    post(page, f"jobs/{job}/cancel")
    assert wait_for(jobs, owner, job, ended).state == "cancelled"
    assert [row["name"] for row in page.get("/studio/library").json()["adapters"]] == ["Toys"]
    assert page.get(f"/media/{job}/curves.json").json()["loss images"][0] == 1
    post(page, "adapters/toys/delete")
    post(page, "adapters/toys/undo_delete")
    again = post(page, f"jobs/{job}/retry")["id"]
    done = wait_for(jobs, owner, again, ended)
    assert done.state == "done" and done.values["first"] > 0 and len(library.adapters(owner).all()) == 1
    assert len(page.get(f"/media/{again}/curves.json").json()["loss images"]) == 6
    stranger = visitor([*media.routes(jobs)])
    assert stranger.get(f"/media/{again}/curves.json").status_code == 404


def test_one_adapter_too_many_is_refused(idle_jobs: Jobs, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 1)
    page = visiting(idle_jobs, library)
    train(page)
    assert train(page)["error"] == "You keep 1 adapters already: delete one first."


def test_where_nobody_may_train_there_is_no_tab_and_no_way(idle_jobs: Jobs, library: Library) -> None:
    page, closed = visiting(idle_jobs, library), visiting(idle_jobs, library, trains=False)
    job = train(page)["id"]
    closed.cookies = page.cookies
    assert "reload it" in train(closed)["error"] and "any more" in post(closed, f"jobs/{job}/retry")["error"]
    tabs = [block.label for block in shell._page(trains=False).blocks.values() if isinstance(block, gr.Tab)]
    assert "Train" not in tabs and tabs[-1] == "Library"


@pytest.mark.parametrize(
    ("kind", "elsewhere"),
    [(TrainSubjectsRequest, {"pairs", "clips", "keep_latents", "minutes"}), (TrainFaceRequest, {"people", "consent"})],
)
def test_the_form_asks_for_every_other_setting(kind: type[Request], elsewhere: set[str]) -> None:
    page = shell._page()
    (names,) = (text.split(f'send("{kind.method}", ')[1] for one in page.fns.values() if f'send("{kind.method}"' in (text := str(one.js)))
    assert {name for name in kind.settings() if f'"{name}"' in names} == set(kind.settings()) - elsewhere


@pytest.mark.parametrize("length", [1, MOST_POINTS, 3 * MOST_POINTS + 1])
def test_curves_are_the_newest_ones_short_enough_to_be_drawn(length: int) -> None:
    record, values = Record(), np.linspace(2, 1, length)
    for step in (10, 20):
        preview = Preview("curve", "phi", step, values if step == 20 else values[:1])
        record.add(preview, pack(preview))
    points = curves_of(record)["phi"]
    assert len(points) == min(length, MOST_POINTS)
    np.testing.assert_allclose(np.mean(points), values.mean(), rtol=1e-3)


def test_a_gap_in_a_curve_is_told_as_one() -> None:
    record, preview = Record(), Preview("curve", "phi", 1, np.array([0.5, np.nan]))
    record.add(preview, pack(preview))
    assert curves_of(record) == {"phi": [0.5, None]}


def test_of_a_curve_that_grows_the_newest_is_kept_and_of_others_every_one() -> None:
    record, course = Record(), np.random.default_rng(0).normal(size=300)
    for step in range(1, 301):
        for name, values in (("loss", course[:step]), ("likeness so far", course[step - 1 :][:5])):
            preview = Preview("curve", name, step, values)
            record.add(preview, pack(preview))
    steps = {named.name: named.steps for named in record.names}
    assert steps["loss"] == (300,) and len(steps["likeness so far"]) == 300
    assert record.bytes < 300 * 4 + 300 * 5 * 4 + 1
