"""A photo comes in, one of its faces is chosen and agreed to, and the clip stands beside it with the likeness of every frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pages import one_sentence, open_tab, value_of, write
from PIL import Image
from playwright.sync_api import Page, expect
from running import Running, running_studio
from test_looks import NAMELESS, SIZES, shot

from studio.examples import FOLDER

PHOTO, RESULT = "likeness-photo", "likeness-portrait:visible"
FOUND, REFUSED, PROBLEM = f"{PHOTO} .lk-found", f"{PHOTO} .lk-refused", ".lk-problem:visible"
CONSENT = "I may use this person's likeness"
PROMPT = "a person nods on a beach"
SMALL = {"frames": 5, "steps": 8, "seed": 4}
DRAFT = "JSON.parse(localStorage['likeness.form.face'])"
VIDEO = "[...document.querySelectorAll('likeness-stage')].find((stage) => stage.offsetParent).querySelector('.lk-screen video')"
PASTE = """async (example) => {
    const data = new DataTransfer();
    data.items.add(new File([await (await fetch(`studio/examples/${example}`)).blob()], "pasted.png", { type: "image/png" }));
    document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A studio with an adapter that nobody trained."""
    with running_studio(tmp_path_factory.mktemp("faces"), "with_adapter.py") as studio:
        yield studio


def open_face(page: Page) -> None:
    open_tab(page, "Face")
    page.wait_for_selector(f"{PHOTO} .lk-drop, {PHOTO} .lk-photo")


def bring(page: Page, photo: Path) -> None:
    page.locator(f"{PHOTO} input[type=file]").set_input_files(photo)
    page.wait_for_selector(f"{PHOTO} .lk-photo")


def press_generate(page: Page) -> None:
    page.locator(".lk-generate:visible").click()


def face(page: Page, number: int, of: int):
    return page.get_by_role("button", name=f"Face {number} of {of}")


def test_somebody_is_chosen_agreed_to_and_drawn(visit, tmp_path: Path) -> None:
    page = visit()
    open_face(page)
    (tmp_path / "holiday.png").write_bytes((FOLDER / "two-people-on-a-beach.png").read_bytes())
    bring(page, tmp_path / "holiday.png")
    expect(page.locator(FOUND)).to_contain_text("2 faces of similar size", timeout=60_000)
    for name, value in {"prompt": PROMPT, **SMALL}.items():
        write(page, name, value)
    press_generate(page)
    expect(page.locator(PROBLEM)).to_contain_text("say which one is meant")
    face(page, 2, 2).click()
    expect(face(page, 2, 2)).to_have_attribute("aria-pressed", "true")
    press_generate(page)
    expect(page.locator(PROBLEM)).to_contain_text("Consent is missing")
    expect(page.get_by_label(CONSENT)).to_have_attribute("aria-invalid", "true")
    assert one_sentence(page.locator(f"{PHOTO} .lk-why").inner_text())
    page.get_by_label(CONSENT).check()
    page.wait_for_function(f"{DRAFT}.consent && {DRAFT}.face === 2 && {DRAFT}.frames === 5")
    press_generate(page)
    page.wait_for_selector('likeness-inspector button[data-name="likeness so far"]:visible', timeout=120_000)
    page.wait_for_selector("likeness-stage[data-state=done]:visible", timeout=120_000)

    expect(page.locator(f"{RESULT} .lk-gauge dt")).to_have_text(["Likeness", "Frames with a face"])
    values = page.evaluate("async () => (await (await fetch('studio/jobs')).json())[0].values")
    expect(page.locator(f"{RESULT} .lk-gauge dd").nth(1)).to_have_text(f"{round(100 * values['face_found'])} %")
    page.wait_for_function(f"{VIDEO}.readyState >= 3 && document.querySelector('.lk-portrayed img').naturalWidth > 0")
    follows(page, values["likeness"])
    shot(page, "desktop-light-face")
    page.get_by_role("button", name="Switch to the dark theme").click()
    page.locator(f"{RESULT} likeness-curve").scroll_into_view_if_needed()
    shot(page, "desktop-dark-face-curve")
    assert page.evaluate(NAMELESS) == []

    page.reload()
    page.wait_for_selector("likeness-stage[data-state=done]")
    open_face(page)
    expect(face(page, 2, 2)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label(CONSENT)).to_be_checked()
    assert value_of(page, "prompt") == PROMPT
    page.get_by_role("button", name="Photo beside it").click()
    expect(page.locator(".lk-portrayed:visible")).to_have_count(0)
    page.get_by_role("button", name="Replace").click()
    page.locator(f"{PHOTO} .lk-example").first.click()
    expect(page.locator(FOUND)).to_have_text("One face is seen.")
    expect(page.get_by_label(CONSENT)).not_to_be_checked()
    page.get_by_role("button", name="Reuse settings").first.click()
    expect(page.locator(f"{PHOTO} .lk-facts b")).to_have_text("holiday.png")
    expect(face(page, 2, 2)).to_have_attribute("aria-pressed", "true")
    face(page, 1, 2).click()
    expect(page.get_by_label(CONSENT)).not_to_be_checked()


def follows(page: Page, likeness: list[float | None]) -> None:
    """The point is where the clip is, and the clip goes where the point is put."""
    point = page.get_by_role("slider", name="Frame", exact=True).and_(page.locator("likeness-curve input:visible"))
    said = page.locator(f"{RESULT} likeness-curve .lk-said")
    for frame in (4, 1):
        point.fill(str(frame))
        page.wait_for_function(f"{VIDEO}.paused && !{VIDEO}.seeking && Math.floor({VIDEO}.currentTime * 8) === {frame}")
        figure = "no face" if likeness[frame] is None else f"likeness {likeness[frame]:.2f}"
        assert said.inner_text() in (f"Frame {frame + 1} of 5: {figure}", f"Frame {frame + 1} of 5: {figure.replace('-0.00', '0.00')}")
    page.evaluate(f"{VIDEO}.currentTime = 3.5 / 8")
    expect(said).to_contain_text("Frame 4 of 5")


def test_on_a_phone_by_keyboard_from_the_clipboard_and_back_from_the_bin(visit) -> None:
    page = visit(viewport=SIZES["phone"], color_scheme="dark")
    open_face(page)
    shot(page, "phone-dark-face-empty")
    page.evaluate(PASTE, "two-people-on-a-beach.png")
    expect(face(page, 1, 2)).to_be_visible()
    expect(page.locator(f"{PHOTO} .lk-facts b")).to_have_text("pasted.png")
    face(page, 1, 2).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(face(page, 2, 2)).to_have_attribute("aria-pressed", "true")
    page.locator(f"{PHOTO} .lk-photo").scroll_into_view_if_needed()
    shot(page, "phone-dark-face")
    page.get_by_role("button", name="Remove pasted.png").click()
    expect(page.locator(f"{PHOTO} .lk-photo")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(face(page, 2, 2)).to_have_attribute("aria-pressed", "true")


def test_what_cannot_be_used_is_said_in_one_sentence(visit, tmp_path: Path) -> None:
    page = visit()
    open_face(page)
    (tmp_path / "notes.png").write_text("just some words")
    page.locator(f"{PHOTO} input[type=file]").set_input_files(tmp_path / "notes.png")
    expect(page.locator(REFUSED)).to_contain_text("notes.png")
    assert one_sentence(page.locator(REFUSED).inner_text())
    page.get_by_role("button", name="Take one with the camera").click()
    expect(page.locator(REFUSED)).to_contain_text("choose a file")
    write(page, "prompt", PROMPT)
    press_generate(page)
    expect(page.locator(PROBLEM)).to_contain_text("No photo is chosen")
    Image.fromarray(np.full((96, 96, 3), (90, 160, 60), np.uint8)).save(tmp_path / "grass.png")
    bring(page, tmp_path / "grass.png")
    expect(page.locator(FOUND)).to_contain_text("No face is seen")
    page.get_by_label(CONSENT).check()
    press_generate(page)
    expect(page.locator(PROBLEM)).to_contain_text("No face is seen")
    assert page.evaluate("async () => (await (await fetch('studio/jobs')).json()).length") == 0
