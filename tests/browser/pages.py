"""What a person does on the page, in their words."""

from __future__ import annotations

from contextlib import suppress

from playwright.sync_api import Locator, Page, TimeoutError

STAGE = "likeness-stage"
PROBLEM = ".lk-problem:visible"
QUICK = {"steps": 2, "frames": 5}
LONG = {"steps": 60, "width": 96, "height": 96, "frames": 33}  # draws for many seconds on any machine, in short steps


def write(page: Page, setting: str, value: object) -> None:
    """Type a setting's value and leave the field."""
    field = _field(page, setting)
    field.fill(str(value))
    field.press("Tab")


def value_of(page: Page, setting: str) -> str:
    return _field(page, setting).input_value()


def _field(page: Page, setting: str) -> Locator:
    """In the tab that is open."""
    return page.locator(f".lk-{setting} textarea:visible, .lk-{setting} input:not([type=range]):visible").first


def open_tab(page: Page, name: str) -> None:
    """Tabs without room, on a phone, are in a menu; which ones settles a moment after the page has come."""
    tab, menu = page.get_by_role("tab", name=name, exact=True), page.locator(".lk-tabs .overflow-menu > button")
    entry = page.locator(".lk-tabs .overflow-dropdown button").get_by_text(name, exact=True)
    for _ in range(50):
        shown = next((place for place in (tab, entry, menu) if place.is_visible()), None)
        with suppress(TimeoutError):  # it went into the menu, or came out of it, just then
            if shown:
                shown.click(timeout=2000)
            if shown in (tab, entry):
                return
        page.wait_for_timeout(200)
    raise AssertionError(f"there is no tab {name}")


def generate(page: Page, prompt: str, **settings: object) -> None:
    for name, value in {"prompt": prompt, **settings}.items():
        write(page, name, value)
    page.locator(".lk-generate:visible").click()


def wait_for_state(page: Page, state: str, seconds: float = 120.0) -> None:
    page.wait_for_selector(f"{STAGE}[data-state={state}]", timeout=1000 * seconds)


def wait_for_preview(page: Page, seconds: float = 180.0) -> None:
    """The first one after the start of the studio waits for the libraries and the model."""
    page.wait_for_selector("img.lk-preview", timeout=1000 * seconds)


def cards(page: Page) -> Locator:
    """The visitor's clips in the strip, newest first."""
    return page.locator(".lk-view likeness-clips li")


def job_ids(page: Page) -> list[str]:
    return [card.get_attribute("data-job") for card in cards(page).all()]


def one_sentence(text: str) -> bool:
    """Whether a message is what a person should read: one sentence, no machine talk."""
    text = text.strip()
    return text.endswith(".") and "\n" not in text and "Traceback" not in text and "Error" not in text
