"""How quick the page is: start, first preview, Stop, and round trips while the processor draws. Run by hand, alone on the machine."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "browser"))

from pages import LONG, STAGE, generate, wait_for_state, write
from running import running_chromium, running_studio

ROUND_TRIP = """async () => {
    const began = performance.now();
    await (await fetch("studio/estimate", { method: "POST", headers: { "X-Likeness": "1" }, body: JSON.stringify(
        { method: "generate", settings: { prompt: "a red ball", model: "playground-wan" } }) })).json();
    return (performance.now() - began) / 1000;
}"""


def test_the_page_is_quick(tmp_path):
    with running_studio(tmp_path) as studio, running_chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(studio.address)
        page.wait_for_selector(".lk-estimate:not([hidden])")
        generate(page, "a red ball bounces in a meadow")  # the first clip waits for the model
        wait_for_state(page, "done", 300)
        for name, value in {"prompt": "a blue cube falls in the snow", **LONG}.items():
            write(page, name, value)
        pressed = time.monotonic()
        page.locator(".lk-generate:visible").click()
        page.wait_for_selector("img.lk-preview")
        preview = time.monotonic() - pressed
        trips = [page.evaluate(ROUND_TRIP) for _ in range(20)]
        pressed = time.monotonic()
        page.locator(f"{STAGE} [data-do=stop]").click()
        wait_for_state(page, "cancelled")
        stop = time.monotonic() - pressed
    trip, slowest = statistics.median(trips), max(trips)
    figures = {"start": studio.start_seconds, "preview": preview, "trip": trip, "slowest trip": slowest, "stop": stop}
    print({name: round(seconds, 2) for name, seconds in figures.items()})
    assert studio.start_seconds < 12 and preview < 3 and slowest < 1 and stop < 2
