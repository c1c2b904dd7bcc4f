"""One picture in the Generate tab: which model can look at it, how the prompt is read, and the picture beside the clip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import QUICK, cards, generate, one_sentence, open_tab, value_of, write
from PIL import Image
from playwright.sync_api import Page, expect
from running import Running, running_studio
from test_looks import NAMELESS, SIZES, shot

from pipelines.playground.render import render
from pipelines.playground.scene import TRAIN_SEEDS, Scene, instance

PICTURE, FITS, SPOKEN = "likeness-picture", "likeness-picture .lk-fits", "likeness-spoken"
PROBLEM = ".lk-problem:visible"
CHIP = "From one picture"
DONE = "likeness-stage[data-state=done]:visible"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A studio with an adapter that nobody trained."""
    with running_studio(tmp_path_factory.mktemp("subjects"), "with_subjects.py") as studio:
        yield studio


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pictures") / "my-toy.png"
    Image.fromarray(render(Scene(1, "meadow", "static", (instance(TRAIN_SEEDS[3]),)), 1, 96, 96).frames[0]).save(file)
    return file


def bring(page: Page, picture: Path) -> None:
    page.get_by_role("button", name=CHIP).click()
    page.locator(f"{PICTURE} input[type=file]").set_input_files(picture)
    page.wait_for_selector(f"{PICTURE} .lk-photo")


def use_the_other_model(page: Page) -> None:
    expect(page.locator(FITS)).to_contain_text("cannot look at a picture")
    page.locator(f"{FITS} button").click()
    expect(page.locator(FITS)).to_be_hidden()


def test_what_a_picture_shows_is_drawn_beside_it_and_brought_back(visit, toy: Path) -> None:
    page = visit()
    expect(page.locator(f"{PICTURE}:visible")).to_have_count(0)
    bring(page, toy)
    use_the_other_model(page)
    write(page, "class_word", "toy")
    generate(page, "snow falls", seed=4, **QUICK)
    expect(page.locator(PROBLEM)).to_contain_text("does not speak of the toy")
    assert one_sentence(page.locator(PROBLEM).inner_text())
    page.locator(f"{SPOKEN} button").click()
    expect(page.locator(".lk-prompt textarea:visible")).to_have_value("a toy snow falls")
    expect(page.locator(SPOKEN)).to_have_text("Reads: a <cls> toy snow falls")
    shot(page, "desktop-light-picture")
    page.locator(".lk-generate:visible").click()
    page.wait_for_selector(DONE, timeout=180_000)
    page.wait_for_function("document.querySelector('.lk-portrayed img')?.naturalWidth > 0")
    asked = page.evaluate("async () => (await (await fetch('studio/jobs')).json())[0]")
    assert (asked["method"], asked["values"]["prompt"]) == ("subject-from-image", "a <cls> toy snow falls")
    assert not {"subject", "injection", "pictured"} & set(asked["request"])
    shot(page, "desktop-light-picture-done")
    page.get_by_role("button", name="Picture beside it").click()
    expect(page.locator(".lk-portrayed:visible")).to_have_count(0)
    assert page.evaluate(NAMELESS) == []

    page.get_by_role("button", name="No subject").click()
    expect(page.locator(f"{PICTURE}:visible")).to_have_count(0)
    page.reload()
    page.wait_for_selector(DONE)
    expect(page.get_by_role("button", name=CHIP)).to_have_attribute("aria-pressed", "false")
    cards(page).first.hover()
    page.get_by_role("button", name="Reuse settings").first.click()
    expect(page.get_by_role("button", name=CHIP)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(f"{PICTURE} .lk-facts b")).to_have_text("my-toy.png")
    assert value_of(page, "class_word") == "toy"


def test_settings_come_back_from_a_file_and_the_drawing_can_be_stopped(visit, toy: Path, tmp_path: Path) -> None:
    page = visit()
    bring(page, toy)
    use_the_other_model(page)
    write(page, "class_word", "toy")
    generate(page, "a toy jumps", **QUICK)
    page.wait_for_selector(DONE, timeout=180_000)
    with page.expect_download() as download:
        page.locator(".lk-actions a[href*='clip.mp4']").click()
    download.value.save_as(tmp_path / "made.mp4")
    page.get_by_role("button", name="No subject").click()
    page.get_by_role("button", name="Advanced").click()
    page.locator("likeness-restore input:visible, likeness-restore input").first.set_input_files(tmp_path / "made.mp4")
    expect(page.get_by_role("button", name=CHIP)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(f"{PICTURE} .lk-facts b")).to_have_text("my-toy.png")
    generate(page, "a toy jumps", steps=60, frames=17)
    page.wait_for_selector("likeness-stage[data-state=running]")
    page.locator("likeness-stage [data-do=stop]").click()
    page.wait_for_selector("likeness-stage[data-state=cancelled]", timeout=60_000)


def test_on_a_phone_by_keyboard_in_the_dark(visit, tmp_path: Path) -> None:
    page = visit(viewport=SIZES["phone"], color_scheme="dark")
    page.get_by_role("button", name=CHIP).focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"{PICTURE} .lk-drop")).to_be_visible()
    expect(page.get_by_role("button", name=CHIP)).to_be_focused()
    page.locator(f"{FITS} button").focus()
    page.keyboard.press("Enter")
    expect(page.locator(FITS)).to_be_hidden()
    (tmp_path / "notes.png").write_text("just some words")
    page.locator(f"{PICTURE} input[type=file]").set_input_files(tmp_path / "notes.png")
    expect(page.locator(f"{PICTURE} .lk-refused")).to_contain_text("notes.png")
    assert one_sentence(page.locator(f"{PICTURE} .lk-refused").inner_text())
    write(page, "prompt", "a toy jumps")
    page.locator(".lk-generate:visible").click()
    expect(page.locator(PROBLEM)).to_contain_text("No picture is chosen")
    page.locator("likeness-pick:visible").scroll_into_view_if_needed()
    shot(page, "phone-dark-picture")


def test_an_adapter_is_trained_stopped_gone_on_with_and_used(visit) -> None:
    page = visit()
    open_tab(page, "Train")
    page.wait_for_selector("likeness-course[data-state=empty]")
    shot(page, "desktop-light-train-empty")
    write(page, "name", "Teapots")
    page.get_by_role("button", name="Advanced").locator("visible=true").click()
    write(page, "steps", 2000)
    page.locator(".lk-generate:visible").click()
    page.wait_for_selector("likeness-course .lk-chart:nth-child(3) polyline")
    page.wait_for_selector("likeness-course [data-part=sample] img")
    expect(page.locator("likeness-course .lk-chart figcaption > b")).to_have_text(["Loss", "Conflict (phi)", "Gradient norms"])
    expect(page.locator("likeness-course [data-part=left]")).to_contain_text("left")
    shot(page, "desktop-light-training")
    page.reload()
    page.wait_for_selector("likeness-stage[data-state]")
    open_tab(page, "Train")
    page.locator("likeness-course [data-do=stop]").click()
    page.wait_for_selector("likeness-course[data-state=cancelled]")
    expect(page.locator(".lk-view likeness-adapters li")).to_have_count(1)
    page.wait_for_selector("likeness-course .lk-chart polyline")
    page.locator("likeness-course [data-do=retry]").click()
    page.wait_for_selector("likeness-course[data-state=running]")
    done = page.evaluate("async () => (await (await fetch('studio/jobs')).json()).map((job) => job.request.folder)")
    assert len(done) == 2 and len(set(done)) == 1
    page.locator("likeness-course [data-do=stop]").click()
    page.wait_for_selector("likeness-course[data-state=cancelled]")
    page.get_by_role("button", name="Switch to the dark theme").click()
    shot(page, "desktop-dark-trained")
    assert page.evaluate(NAMELESS) == []
    page.locator("likeness-course [data-do=use]").click()
    expect(page.get_by_role("button", name=CHIP)).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="How the picture is used").click()
    expect(page.locator(".lk-adapter input:visible")).to_have_value("Teapots")
    expect(page.locator(FITS)).to_be_hidden()
    open_tab(page, "Train")
    page.get_by_role("button", name="Delete Teapots").locator("visible=true").click()
    expect(page.locator(".lk-view likeness-adapters li")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".lk-view likeness-adapters li")).to_have_count(1)


def test_faces_are_trained_on_a_phone(visit) -> None:
    page = visit(viewport=SIZES["phone"], color_scheme="dark")
    open_tab(page, "Train")
    page.locator("likeness-courses:visible").get_by_role("button", name="Faces").click()
    expect(page.locator("likeness-courses:visible").get_by_role("button", name="Faces")).to_be_focused()
    page.locator(".lk-generate:visible").click()
    page.wait_for_selector("likeness-course .lk-chart polyline")
    expect(page.locator("likeness-course .lk-chart figcaption > b").first).to_have_text("Loss")
    shot(page, "phone-dark-training")
    page.locator("likeness-course [data-do=stop]").click()
    page.wait_for_selector("likeness-course[data-state=cancelled]")
    expect(page.locator("likeness-course .lk-message")).to_contain_text("try it on a picture")
