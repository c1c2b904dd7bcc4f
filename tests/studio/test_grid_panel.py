"""The Grid tab's form, and what the studio makes of a grid that is asked for: whose clips, which words, and each cell as a clip."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from procedural import ended, wait_for
from starlette.routing import BaseRoute
from starlette.testclient import TestClient
from visiting import OURS, STORE, visitor

from pipelines.events import Event, Preview, Result
from pipelines.methods.grid import adapters
from pipelines.methods.grid import run as grid_run
from pipelines.methods.grid.layout import Layout, tiled
from pipelines.methods.grid.plan import check, prompt_of
from pipelines.methods.grid.request import Cell, GridRequest
from pipelines.models.adapters import AdapterEntry
from pipelines.playground.vocabulary import EFFECTS, PLACES
from pipelines.video import read_clip, read_request, write_clip
from studio import media, shell
from studio.api import Api
from studio.examples import examples
from studio.jobs import Jobs
from studio.jobs.shots import FILE, FINISHED, file_of, number_of
from studio.library import Library
from studio.library.clip_routes import ClipRoutes
from studio.library.routes import LibraryRoutes
from studio.panels.grid import ELSEWHERE, templates

NAMES = Layout(2, 2).names


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AdapterEntry:
    """An adapter for the playground's model that is on this machine. Nothing here reads its weights."""
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "fill.safetensors").touch()
    here = AdapterEntry("here", "Here", "For tests.", "Same as this project", "playground-wan", path=str(tmp_path / "adapter"))
    monkeypatch.setattr(adapters, "ADAPTERS", (here,))
    return here


def drawn(request: GridRequest, owner: str = "") -> Iterator[Event]:
    """A grid in four shades of grey, with the events of the method."""
    layout = Layout.read(request.layout)
    cells = [np.full((request.frames, 32, 32, 3), 40 + 50 * number, np.uint8) for number in range(layout.count)]
    yield Preview("frames", "denoised", 0, tiled(layout, cells))
    for name, cell in zip(layout.names, cells, strict=True):
        yield Preview("frames", f"{name}{grid_run.FINISHED}", request.steps, cell)
    settings = SimpleNamespace(prompt=prompt_of(request))
    shares = SimpleNamespace(leakage=np.eye(layout.count, 1 + layout.count), leak=lambda settings: 0.0)
    values = grid_run.facts(request, {0: cells[0]}, cells, shares, settings)
    yield Result(request.with_seed(), tiled(layout, cells), request.fps, (), values)


@pytest.fixture
def jobs(open_jobs) -> Jobs:
    return open_jobs(drawn)


def routes_of(jobs: Jobs, library: Library) -> list[BaseRoute]:
    ready = threading.Event()
    ready.set()
    own = [kind(library, jobs, ready).routes() for kind in (LibraryRoutes, ClipRoutes)]
    return [*media.routes(jobs), *Api(jobs, STORE, library).routes(), *(route for one in own for route in one)]


@pytest.fixture
def routes(idle_jobs: Jobs, tmp_path: Path, adapter: AdapterEntry) -> list[BaseRoute]:
    return routes_of(idle_jobs, Library(tmp_path / "visitors"))


@pytest.fixture
def page(routes: list[BaseRoute]) -> TestClient:
    return visitor(routes)


def post(page: TestClient, path: str, **body: Any) -> dict:
    return page.post(f"/studio/{path}", json=body, headers=OURS).json()


def ask(page: TestClient, path: str = "jobs", **settings: Any) -> dict:
    return post(page, path, method="grid", settings={"adapter": "here", "model": "playground-wan", "frames": 5, "steps": 2} | settings)


def example(page: TestClient) -> dict:
    return post(page, "clips/example", file=examples()[0]["file"])


def cells(clip: dict | None = None, *words: str) -> list[dict]:
    return [{"clip": clip["source"] if clip else ""}, *({"text": one} for one in words or ("in the rain", "in the snow", "at night"))]


# --- the form ----------------------------------------------------------------------------------------------------------


def test_the_tab_is_there_where_an_adapter_is(adapter: AdapterEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    def tabs(page: gr.Blocks) -> list[str]:
        return [block.label for block in page.blocks.values() if isinstance(block, gr.Tab)]

    page = shell._page()
    assert tabs(page)[4] == "Grid"
    (names,) = (str(one.js).split('likeness.send("grid", ')[1] for one in page.fns.values() if 'likeness.send("grid"' in str(one.js))
    assert {name for name in GridRequest.settings() if f'"{name}"' in names} == set(GridRequest.settings()) - set(ELSEWHERE)
    monkeypatch.setattr(adapters, "ADAPTERS", ())
    assert "Grid" not in tabs(shell._page())


def test_every_template_can_be_drawn_and_says_what_the_playground_knows() -> None:
    captions = {entry["file"]: entry["caption"] for entry in examples()}
    phrases = [phrase for table in (EFFECTS, PLACES) for said in table.values() for phrase in said]
    for one in templates():
        filled = [Cell(clip=f"clips/x/{cell['example']}" if "example" in cell else "", text=cell.get("text", "")) for cell in one["cells"]]
        shown = [cell["example"] for cell in one["cells"] if "example" in cell]
        shared = one.get("prompt", captions[shown[0]] if shown and one["mode"] == "edit" else "")
        request = GridRequest(layout=one["layout"], mode=one["mode"], prompt=shared, cells=tuple(filled))
        check(request)
        assert set(shown) <= set(captions) and all(any(phrase in cell.text for phrase in phrases) for cell in filled if cell.text)


# --- what is asked for -------------------------------------------------------------------------------------------------


def test_a_grid_is_queued_with_its_clips_also_when_it_is_run_again(page: TestClient) -> None:
    asked = cells(example(page))
    job = ask(page, cells=asked, prompt="a red ball")["id"]
    post(page, f"jobs/{job}/cancel")
    again = post(page, f"jobs/{job}/retry")["id"]
    stored = {one["id"]: one["request"]["cells"] for one in page.get("/studio/jobs").json()}
    assert stored[job] == stored[again] and [cell["text"] for cell in stored[again]] == [cell.get("text", "") for cell in asked]
    assert stored[again][0]["clip"] == asked[0]["clip"]


def test_the_prompt_is_told_as_it_is_read_until_it_is_written(page: TestClient) -> None:
    told = ask(page, "estimate", cells=cells(), prompt="a red ball", identity="Red Ball", width=100, height=128)
    assert told["reads"].startswith(
        "This 2x2 grid illustrates a red ball. [TOP LEFT] [red-ball_identity] [TOP RIGHT] [red-ball_identity] in"
    )
    assert told["seconds"] > 0 and "Width 100 px became 96 px" in told["notes"][0]
    written = "This 2x2 grid. [TOP LEFT] a [TOP RIGHT] b [BOTTOM LEFT] c [BOTTOM RIGHT] d"
    assert ask(page, "estimate", cells=cells(), written=written)["reads"] == written
    assert "choose the same for both" in ask(page, "estimate", layout="1x3", written=written)["error"]
    assert ask(page, "estimate")["reads"].startswith("This 2x2 grid."), "an empty form is no mistake yet"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "The grid is empty"),
        ({"cells": [{"text": "a"}] * 5}, "A grid of 2x2 has 4 cells"),
        ({"cells": [{"text": "a"}] * 7}, "cells cannot be"),
        ({"cells": cells(None, "a", "b", "[c]"), "prompt": "a"}, "Square brackets"),
        ({"cells": cells(), "layout": "9x9", "prompt": "a"}, "Layout cannot be"),
        ({"cells": cells(), "adapter": "../../elsewhere", "prompt": "a"}, "This adapter is not on this machine"),
        ({"cells": cells(), "concepts": "loras/none", "prompt": "a"}, "There are no such dynamic concepts"),
        ({"cells": cells(), "concepts": "../../other", "prompt": "a"}, "That file is not one of yours"),
    ],
)
def test_what_cannot_be_drawn_gets_one_sentence(page: TestClient, settings: dict, says: str) -> None:
    error = ask(page, **settings)["error"]
    assert error.startswith(says) and error.endswith(".") and "\n" not in error


# --- whose clips -------------------------------------------------------------------------------------------------------


def test_cells_hold_the_visitors_own_clips_only(routes: list[BaseRoute], page: TestClient) -> None:
    clip, other = example(page), visitor(routes)
    for who, name in ((other, clip["source"]), (page, "clips/AAAAAAAAAAA/a.mp4"), (page, "../../etc/passwd"), (page, "request.json")):
        for path in ("jobs", "estimate"):
            error = ask(who, path, cells=[{"clip": name}, *cells()[1:]], prompt="a")["error"]
            assert error == "The clip in the cell top left is not among your clips: choose another one, or add it again."
    assert "id" in ask(page, cells=cells(clip), prompt="a")
    assert post(page, f"clips/{clip['id']}/delete")["error"].startswith("This clip is in use")


# --- what came out -----------------------------------------------------------------------------------------------------


def test_each_cell_is_a_clip_that_can_be_used_again(jobs: Jobs, tmp_path: Path, adapter: AdapterEntry) -> None:
    routes = routes_of(jobs, Library(tmp_path / "visitors"))
    page, other = visitor(routes), visitor(routes)
    job = ask(page, cells=cells(example(page)), prompt="a red ball")["id"]
    (owner,) = {entry.owner for entry in jobs._ledger.entries.values()}
    done = wait_for(jobs, owner, job, ended)
    assert done.state == "done" and "shots" not in done.values and done.values["leak"] == 0.0
    assert "finished" in {named["name"] for named in page.get(f"/media/{job}/seen.json").json()["names"]}
    for number, name in enumerate(NAMES):
        answer = page.get(f"/media/{job}/{file_of(name + FINISHED)}")
        (tmp_path / "cell.mp4").write_bytes(answer.content)
        assert abs(int(read_clip(tmp_path / "cell.mp4")[0].mean()) - 40 - 50 * number) < 6
        assert isinstance(read_request(tmp_path / "cell.mp4"), GridRequest)
    kept = post(page, "clips/made", job=job, file="cell-top-right.mp4")
    assert (kept["words"], kept["name"].endswith("-cell-top-right.mp4")) == ("a red ball, in the rain", True)
    assert post(page, "clips/made", job=job, file="cell-top-right.mp4")["id"] == kept["id"], "once is enough"
    assert post(page, "clips/made", job=job, file="clip.mp4")["words"] == "a red ball"
    assert "id" in ask(page, cells=cells(kept), prompt="a red ball")
    for who, asked in ((other, "cell-top-right.mp4"), (page, "cell-middle.mp4"), (page, "../request.json"), (page, "steps.npz"), (page, 7)):
        assert post(who, "clips/made", job=job, file=asked)["error"].endswith(".")
    assert other.get(f"/media/{job}/cell-top-left.mp4").status_code == 404


def test_names_of_cells_are_names_of_files() -> None:
    every = {name for layout in ("2x2", "1x3", "2x3") for name in Layout.read(layout).names}
    files = {file_of(name + FINISHED) for name in every}
    assert len(files) == len(every) and all(FILE.fullmatch(file) and number_of(file) is None for file in files)
    assert grid_run.FINISHED == FINISHED
    for name in ("top", "top left", "elsewhere, finished", "finished", ", finished", "../top left, finished"):
        assert file_of(name) is None


def test_settings_come_back_from_a_cell(page: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = example(page)
    request = GridRequest(cells=(Cell(clip=clip["source"]), Cell(text="in the rain")), prompt="a", adapter="here")
    made = write_clip(tmp_path / "cell.mp4", np.zeros((5, 32, 32, 3), np.uint8), 8, request).read_bytes()

    def restored() -> dict:
        return page.post("/studio/restore", content=made, headers=OURS | {"X-Name": "cell.mp4"}).json()

    assert restored()["settings"]["cells"] == json.loads(request.model_dump_json())["cells"]
    post(page, f"clips/{clip['id']}/delete")
    assert "not among your clips" in restored()["notes"][0]
    monkeypatch.setattr(adapters, "ADAPTERS", ())
    assert restored()["error"] == "This clip was made with grid, which has no tab here."
