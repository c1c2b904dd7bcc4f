"""Makes the pictures of the README from the running studio: `python tests/browser/take_pictures.py`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pages import generate, wait_for_state
from running import ROOT, running_chromium, running_studio

PROMPTS = {
    3: "a blue star rises in the snow",
    7: "a yellow striped fish glides from left to right under the ocean",
    1: "a red ball bounces in a meadow",
}
"""Seed -> prompt; the last one is on the stage."""


def main() -> None:
    """One clip after the other, then a picture of the page."""
    with tempfile.TemporaryDirectory() as folder, running_studio(Path(folder)) as studio, running_chromium() as chromium:
        page = chromium.new_page(viewport={"width": 1440, "height": 900}, color_scheme="dark")
        page.goto(studio.address)
        for seed, prompt in PROMPTS.items():
            generate(page, prompt, seed=seed)
            page.wait_for_selector("likeness-stage[data-state=running], likeness-stage[data-state=queued]")
            wait_for_state(page, "done")
        page.wait_for_function("document.querySelector('likeness-stage video')?.readyState >= 3")
        page.locator(".lk-prompt textarea").focus()
        page.wait_for_timeout(3000)
        page.screenshot(path=ROOT / "assets" / "readme" / "studio.png")


if __name__ == "__main__":
    main()
