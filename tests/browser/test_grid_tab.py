"""A template fills the cells, a grid is drawn of them, and what came out goes back in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import PROBLEM, one_sentence, open_tab, value_of, write
from playwright.sync_api import Page, expect
from running import Running, running_studio
from test_looks import NAMELESS, SIZES, shot

from pipelines.methods.grid.request import GridRequest
from pipelines.video import read_clip, read_request
from studio.examples import FOLDER

CELLS, RESULT, WHOLE = "likeness-cells", "likeness-grid:visible", "#lk-whole"
SMALL = {"frames": 5, "steps": 2, "width": 64, "height": 64}
DRAFT = "JSON.parse(localStorage['likeness.form.grid'])"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A studio with an adapter that nobody trained."""
    with running_studio(tmp_path_factory.mktemp("grids"), "with_grids.py") as studio:
        yield studio


def open_grid(page: Page) -> None:
    open_tab(page, "Grid")
    expect(page.locator(f"{CELLS} li")).to_have_count(4)


def begin(page: Page, template: str) -> None:
    page.get_by_role("button", name=template, exact=True).click()
    page.wait_for_selector(f"{CELLS} li textarea")


def texts(page: Page) -> list[str]:
    return [field.input_value() for field in page.locator(f"{CELLS} textarea").all()]


def test_a_template_is_drawn_and_its_cells_are_used_again(visit, tmp_path: Path) -> None:
    page = visit()
    open_grid(page)
    shot(page, "desktop-light-grid-empty")
    begin(page, "Rain")
    expect(page.locator(f"{CELLS} video")).to_have_count(1)
    expect(page.locator(WHOLE)).to_have_value("This 2x2 grid illustrates a yellow star jumps on a beach. [TOP LEFT] [TOP RIGHT] in the rain"
        " [BOTTOM LEFT] in pouring rain [BOTTOM RIGHT] in the rain in purple light")  # fmt: skip
    for name, value in SMALL.items():
        write(page, name, value)
    page.wait_for_function(f"{DRAFT}.steps === 2 && {DRAFT}.frames === 5 && {DRAFT}.height === 64")
    page.locator(".lk-generate:visible").click()
    page.wait_for_selector("likeness-stage[data-state=done]:visible", timeout=300_000)
    expect(page.locator(f"{RESULT} video")).to_have_count(4)
    expect(page.locator(f"{RESULT} .lk-matrix tbody tr")).to_have_count(4)
    assert one_sentence(page.locator(f"{RESULT} section:last-child > .lk-how").inner_text())
    shot(page, "desktop-light-grid")
    assert page.evaluate(NAMELESS) == []

    with page.expect_download() as waiting:
        page.get_by_role("link", name="Save top right").click()
    waiting.value.save_as(tmp_path / "cell.mp4")
    assert read_clip(tmp_path / "cell.mp4")[0].shape == (5, 64, 64, 3)
    request = read_request(tmp_path / "cell.mp4")
    assert isinstance(request, GridRequest) and request.cells[1].text == "in the rain" and request.cells[0].clip

    page.get_by_role("button", name="Put top right back").click()
    expect(page.locator(f"{CELLS} video")).to_have_count(2)
    page.get_by_role("button", name="Reuse settings").first.click()
    expect(page.locator(f"{CELLS} video")).to_have_count(1)
    page.get_by_role("button", name="Take over the motion of top right").click()
    expect(page.get_by_role("tab", name="Motion", exact=True)).to_have_attribute("aria-selected", "true")
    expect(page.locator("likeness-source .lk-of-clip")).to_contain_text("cell-top-right.mp4")
    assert value_of(page, "source_prompt") == "a yellow star jumps on a beach, in the rain"


def test_the_prompt_is_written_by_hand_and_built_again(visit) -> None:
    page = visit()
    open_grid(page)
    page.locator(".lk-generate:visible").click()
    expect(page.locator(PROBLEM)).to_contain_text("The grid is empty")
    assert one_sentence(page.locator(PROBLEM).inner_text())
    begin(page, "Four scenes of one character")
    expect(page.locator(WHOLE)).to_have_value("This 2x2 grid illustrates a red star jumps. [TOP LEFT] on a beach [TOP RIGHT] in the snow"
        " [BOTTOM LEFT] in a forest [BOTTOM RIGHT] under a night sky")  # fmt: skip
    built = page.locator(WHOLE).input_value()
    page.locator(WHOLE).fill("This 2x2 grid.")
    expect(page.locator(PROBLEM)).to_contain_text("does not say what is in the cell top left")
    page.get_by_role("button", name="Back to the cells' words").click()
    expect(page.locator(WHOLE)).to_have_value(built)
    expect(page.locator(PROBLEM)).to_have_count(0)


def test_a_clip_is_brought_on_a_phone_by_keyboard_and_taken_out(visit, tmp_path: Path) -> None:
    page = visit(viewport=SIZES["phone"], color_scheme="dark")
    open_grid(page)
    chosen = page.get_by_role("button", name="A clip for the cell bottom left")
    chosen.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".lk-choice")).to_be_visible()
    shot(page, "phone-dark-grid-choice")
    (tmp_path / "notes.mp4").write_text("just some words")
    page.locator(".lk-choice input[type=file]").set_input_files(tmp_path / "notes.mp4")
    expect(page.locator(f"{CELLS} > .lk-refused")).to_contain_text("notes.mp4")
    assert one_sentence(page.locator(f"{CELLS} > .lk-refused").inner_text())
    chosen.click()
    page.locator(".lk-choice input[type=file]").set_input_files(FOLDER / "star-jumps-beach.mp4")
    expect(page.locator(f"{CELLS} li").nth(2).locator("video")).to_be_visible()
    page.locator(f"{CELLS} textarea").nth(3).fill("in the rain")
    page.locator(CELLS).scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('likeness-cells video').readyState >= 2")
    shot(page, "phone-dark-grid")
    assert page.evaluate(NAMELESS) == []
    page.reload()
    page.wait_for_selector("likeness-stage[data-state]")
    open_grid(page)
    expect(page.locator(f"{CELLS} video")).to_have_count(1)
    assert texts(page)[3] == "in the rain"
    page.get_by_role("button", name="Take the clip out of the cell bottom left").click()
    expect(page.locator(f"{CELLS} video")).to_have_count(0)
