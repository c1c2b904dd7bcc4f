"""A board is written, put in order and drawn; its shots stand beside the same ones drawn alone, and make a film."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pages import PROBLEM, one_sentence, open_tab, value_of, write
from playwright.sync_api import Page, expect
from test_looks import NAMELESS, SIZES, shot

from pipelines.methods.storyboard.request import StoryboardRequest
from pipelines.video import read_clip, read_request

SMALL = {"frames": 5, "steps": 2, "width": 32, "height": 32}
STAGE = "likeness-stage:visible"
DRAFT = "JSON.parse(localStorage['likeness.form.storyboard'])"
FIRST = ["jumps in the snow", "moves to the left on a green meadow", "spins in the desert"]


def open_board(page: Page) -> None:
    open_tab(page, "Storyboard")
    page.wait_for_selector("likeness-shots [data-do=add]:visible")


def texts(page: Page) -> list[str]:
    return [field.input_value() for field in page.locator(".lk-shots textarea").all()]


def anchors(page: Page) -> list[str]:
    """The texts of the two shots that are marked as anchors."""
    pressed = [one.get_attribute("aria-pressed") for one in page.locator(".lk-shots [data-do=anchor]").all()]
    return [text for text, mark in zip(texts(page), pressed, strict=True) if mark == "true"]


def test_shots_are_put_in_order_removed_and_brought_back(visit) -> None:
    page = visit()
    open_board(page)
    shot(page, "desktop-light-board-empty")
    page.locator(".lk-try-board").first.click()
    expect(page.locator(".lk-shots > li")).to_have_count(3)
    page.wait_for_function(f"{DRAFT}.prompt === 'a red star'")
    grip = page.locator(".lk-grip")
    grip.nth(2).focus()
    page.keyboard.press("ArrowUp")
    assert texts(page) == [FIRST[0], FIRST[2], FIRST[1]]
    assert anchors(page) == [FIRST[0], FIRST[1]], "they stay anchors wherever they stand"
    expect(grip.nth(1)).to_be_focused()
    page.locator(".lk-shots [data-do=remove]").first.click()
    assert texts(page) == [FIRST[2], FIRST[1]]
    page.get_by_role("button", name="Undo").click()
    assert texts(page) == [FIRST[0], FIRST[2], FIRST[1]] and anchors(page) == [FIRST[0], FIRST[1]]
    page.locator(".lk-shots [data-do=anchor]").nth(1).click()
    assert anchors(page) == [FIRST[2], FIRST[1]]
    above, below = (page.locator(".lk-shots > li").nth(place).bounding_box() for place in (0, 2))
    page.mouse.move(above["x"] + 12, above["y"] + 12)
    page.mouse.down()
    page.mouse.move(below["x"] + 12, below["y"] + below["height"] - 4, steps=4)
    page.mouse.up()
    assert texts(page) == [FIRST[2], FIRST[1], FIRST[0]]


def test_shots_are_brought_in_as_text_and_taken_along(visit, tmp_path: Path) -> None:
    page = visit()
    open_board(page)
    page.locator(".lk-try-board").first.click()
    expect(page.locator(".lk-shots > li")).to_have_count(3)
    page.get_by_role("slider", name="Consistency").fill("20")
    page.wait_for_function(f"{DRAFT}.share_until === 150 && {DRAFT}.refine_until === 230")
    page.locator("likeness-shots [data-do=import]").click()
    page.locator("#lk-import").fill("[1, 2]")
    page.get_by_role("button", name="Add to the list").click()
    assert one_sentence(page.locator(".lk-import .lk-refused").inner_text())
    page.locator("#lk-import").fill("1. rests in a room\n\n- rises in a forest")
    page.get_by_role("button", name="Add to the list").click()
    expect(page.locator(".lk-shots > li")).to_have_count(5)
    assert texts(page)[3:] == ["rests in a room", "rises in a forest"]
    page.locator(".lk-shots textarea").nth(1).fill("")
    expect(page.locator(".lk-shots .lk-how").nth(1)).to_contain_text("the character alone")
    with page.expect_download() as waiting:
        page.locator("likeness-shots [data-do=export]").click()
    waiting.value.save_as(tmp_path / "board.json")
    request = StoryboardRequest.from_json((tmp_path / "board.json").read_text())
    assert [one.text for one in request.shots] == texts(page) and request.share_until == 150
    page.reload()
    page.wait_for_selector("likeness-stage[data-state]")
    open_board(page)
    assert texts(page) == [one.text for one in request.shots] and value_of(page, "prompt") == "a red star"
    assert page.evaluate(NAMELESS) == []


def test_a_long_list_is_cut_and_an_empty_one_refused(visit) -> None:
    page = visit()
    open_board(page)
    page.locator(".lk-try-board").first.click()
    expect(page.locator(".lk-shots > li")).to_have_count(3)
    page.locator("likeness-shots input[type=file]").set_input_files(
        {"name": "many.txt", "mimeType": "text/plain", "buffer": b"spins\n" * 45},
    )
    page.get_by_role("button", name="Replace the list").click()
    expect(page.locator(".lk-toast").last).to_contain_text("5 more did not fit")
    expect(page.locator(".lk-shots > li")).to_have_count(40)
    page.locator("likeness-shots [data-do=import]").click()
    page.locator("#lk-import").fill(json.dumps(["spins"]))
    page.get_by_role("button", name="Replace the list").click()
    expect(page.locator(".lk-shots [data-do=anchor]")).to_have_count(0)
    page.locator(".lk-shots [data-do=remove]").click()
    page.locator(".lk-generate:visible").click()
    expect(page.locator(PROBLEM)).to_contain_text("no shots")


def test_a_board_is_drawn_beside_its_shots_alone_and_cut_to_a_film(visit, tmp_path: Path) -> None:
    page = visit()
    open_board(page)
    page.locator(".lk-try-board").first.click()
    for name, value in SMALL.items():
        write(page, name, value)
    page.wait_for_function(f"{DRAFT}.steps === 2 && {DRAFT}.height === 32 && {DRAFT}.frames === 5")
    page.locator(".lk-generate:visible").click()
    page.wait_for_selector(f"{STAGE} >> likeness-contact li[data-drawn=yes]", timeout=180_000)
    page.wait_for_selector(f"{STAGE}[data-state=done]", timeout=180_000)
    expect(page.locator(f"{STAGE} likeness-contact li[data-state=done]")).to_have_count(3)
    expect(page.locator(f"{STAGE} likeness-board .lk-slice")).to_have_count(2)
    expect(page.locator(f"{STAGE} .lk-matrix")).to_have_count(2)
    assert "Drawn alone" in page.locator(f"{STAGE} .lk-gauges").last.inner_text()
    page.get_by_role("button", name="Where the character is").click()
    shot(page, "desktop-light-board")
    assert page.evaluate(NAMELESS) == []

    page.locator(f"{STAGE} .lk-piece").first.focus()
    page.keyboard.press("ArrowRight")
    page.locator(f"{STAGE} likeness-cut [data-do=leave]").nth(2).click()
    page.wait_for_function("[...document.querySelectorAll('.lk-screen video')].find((one) => one.offsetParent)?.src.endsWith('cut=2,1')")
    with page.expect_download() as waiting:
        page.locator(f"{STAGE} .lk-actions").get_by_text("MP4", exact=True).click()
    waiting.value.save_as(tmp_path / "film.mp4")
    assert len(read_clip(tmp_path / "film.mp4")[0]) == 10
    request = read_request(tmp_path / "film.mp4")
    assert isinstance(request, StoryboardRequest) and [one.text for one in request.shots] == FIRST

    page.locator(f"{STAGE} likeness-contact li").nth(2).hover()
    page.locator(f"{STAGE} likeness-contact [data-do=again]").nth(2).click()
    expect(page.locator(f"{STAGE} likeness-contact em").first).to_have_text("As before")
    page.wait_for_selector(f"{STAGE}[data-state=done]", timeout=180_000)
    expect(page.locator(f"{STAGE} likeness-contact li[data-state=done]")).to_have_count(3)
    seeds = page.evaluate("async () => (await (await fetch('studio/jobs')).json()).map((job) => job.request.shots.map((one) => one.seed))")
    assert seeds[0][:2] == seeds[1][:2] and seeds[0][2] != seeds[1][2]


@pytest.mark.parametrize("device", ["phone", "desktop"])
def test_the_tab_fits_in_the_dark(visit, device: str) -> None:
    page = visit(viewport=SIZES[device], color_scheme="dark")
    open_board(page)
    page.locator(".lk-try-board").nth(1).click()
    expect(page.locator(".lk-shots > li")).to_have_count(4)
    page.locator("likeness-shots").scroll_into_view_if_needed()
    shot(page, f"{device}-dark-board")
