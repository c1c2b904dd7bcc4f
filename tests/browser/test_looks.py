"""The page in light and dark, on a desktop and on a phone. The pictures are kept in `tests/artefacts/screens` for a look."""

import itertools
from pathlib import Path

import pytest
from pages import generate, open_tab, wait_for_preview, wait_for_state
from playwright.sync_api import expect

SCREENS = Path(__file__).resolve().parents[1] / "artefacts" / "screens"
SIZES = {"desktop": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.mark.parametrize(("scheme", "device"), itertools.product(("light", "dark"), SIZES))
def test_the_page_fits_and_follows_the_systems_theme(visit, scheme, device):
    page = visit(viewport=SIZES[device], color_scheme=scheme)
    shot(page, f"{device}-{scheme}-empty")
    generate(page, "a red ball bounces in a meadow", steps=6)
    wait_for_preview(page)
    shot(page, f"{device}-{scheme}-drawing")
    wait_for_state(page, "done")
    page.wait_for_function("document.querySelector('likeness-stage video')?.readyState >= 3")
    shot(page, f"{device}-{scheme}-done")
    assert page.evaluate("document.body.classList.contains('dark')") is (scheme == "dark")
    open_tab(page, "Library")
    expect(page.locator('likeness-clips[wall="true"] li')).to_have_count(1)
    shot(page, f"{device}-{scheme}-library")


def shot(page, name: str) -> None:
    """Keep a picture; nothing may stick out sideways."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{name}.png")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{name} scrolls sideways"


def test_the_theme_can_be_chosen_and_stays(visit):
    page = visit(color_scheme="light")
    page.get_by_role("button", name="Switch to the dark theme").click()
    page.wait_for_selector("body.dark")
    page.reload()
    page.wait_for_selector("likeness-stage[data-state]")
    expect(page.locator("body")).to_have_class("dark")


NAMELESS = """() => [...document.querySelectorAll("button, input, textarea, a[href]")]
    .filter((one) => one.checkVisibility({ visibilityProperty: true }))
    .filter((one) => !(one.innerText?.trim() || one.ariaLabel || one.title || one.labels?.length))
    .map((one) => one.outerHTML.slice(0, 120))"""


def test_everything_that_can_be_pressed_has_a_name_and_shows_focus(visit):
    page = visit()
    nameless = page.evaluate(NAMELESS)
    assert nameless == []
    page.locator(".lk-prompt textarea").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
