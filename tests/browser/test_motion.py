"""A clip comes in, its motion is seen, and what is drawn after it stands beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pages import one_sentence, open_tab, value_of, write
from playwright.sync_api import Page, expect
from test_looks import NAMELESS, SIZES, shot

from pipelines.video import write_clip

SOURCE, COMPARED = "likeness-source", "likeness-motion:visible"
PROMPT = "a red ball bounces in a meadow"
SMALL = {"frames": 5, "steps": 4, "width": 32, "height": 32}
DRAFT = "JSON.parse(localStorage['likeness.form.transfer-motion'])"
TWO = "() => [...document.querySelectorAll('likeness-stage')].find((stage) => stage.offsetParent)?.querySelectorAll('video')"


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a bright square that crosses a speckled ground, 96 x 64."""
    ground = np.random.default_rng(0).integers(40, 90, (64, 96, 3), dtype=np.uint8)
    frames = np.stack([ground] * 16)
    for time, frame in enumerate(frames):
        frame[20:44, 4 * time + 4 : 4 * time + 28] = (240, 180, 40)
    return write_clip(tmp_path_factory.mktemp("clips") / "my walk.mp4", frames, 8)


def open_motion(page: Page) -> None:
    open_tab(page, "Motion")
    page.wait_for_selector(f"{SOURCE} .lk-drop, {SOURCE} .lk-player")


def bring(page: Page, clip: Path) -> None:
    page.locator(f"{SOURCE} input[type=file]").set_input_files(clip)
    page.wait_for_selector(f"{SOURCE} .lk-player")


def motion_is_seen(page: Page) -> None:
    page.wait_for_selector(f"{SOURCE} .lk-moves[aria-busy=false]", timeout=120_000)
    page.wait_for_function("[...document.querySelectorAll('.lk-moves img')].every((image) => image.naturalWidth > 0)")


def slices(page: Page) -> list[str]:
    return [one.evaluate("canvas => canvas.toDataURL()") for one in page.locator(f"{COMPARED} .lk-slice").all()]


def test_a_clip_is_brought_in_cut_and_its_motion_taken_over(visit, walk: Path, tmp_path: Path) -> None:
    page = visit()
    open_motion(page)
    bring(page, walk)
    expect(page.locator(f"{SOURCE} .lk-of-clip")).to_contain_text("96 × 64")
    motion_is_seen(page)
    page.get_by_role("slider", name="From").press("ArrowRight")
    page.locator(f"{SOURCE} [data-field=end]").fill("1.5")
    page.locator(f"{SOURCE} [data-field=end]").press("Tab")
    page.locator(f"{SOURCE} .lk-frame").press("ArrowRight")
    page.wait_for_function(f"{DRAFT}.start === 0.05 && {DRAFT}.end === 1.5 && {DRAFT}.crop !== ''")
    page.get_by_role("button", name="Camera motion").click()
    page.wait_for_function(f"{DRAFT}.strength === 0.3")
    for name, value in {"prompt": PROMPT, **SMALL}.items():
        write(page, name, value)
    page.wait_for_function(f"{DRAFT}.steps === 4 && {DRAFT}.height === 32 && {DRAFT}.frames === 5")
    page.reload()
    page.wait_for_selector("likeness-stage[data-state]")
    open_motion(page)
    expect(page.locator(f"{SOURCE} [data-field=end]")).to_have_value("1.5")
    expect(page.get_by_role("button", name="Camera motion")).to_have_attribute("aria-pressed", "true")
    assert value_of(page, "prompt") == PROMPT
    page.locator(".lk-generate:visible").click()
    page.wait_for_selector("likeness-stage[data-state=done]:visible", timeout=180_000)

    page.wait_for_function(f"[...({TWO})()].length === 2 && [...({TWO})()].every((video) => video.readyState >= 3 && !video.paused)")
    drift = page.evaluate(f"(() => {{ const [one, other] = ({TWO})(); return Math.abs(one.currentTime - other.currentTime); }})()")
    assert drift < 0.3 or drift > 5 / 8 - 0.3, "they run together, but for one that has just begun anew"
    page.wait_for_selector(f"{COMPARED} .lk-slice")
    before = slices(page)
    page.locator(".lk-column input").fill("100")
    assert all(old != new for old, new in zip(before, slices(page), strict=True)), "both follow the column"
    expect(page.locator(f"{COMPARED} .lk-gauge dd").first).to_have_text("not measurable") if _figure(page) is None else expect(
        page.locator(f"{COMPARED} .lk-gauge dd").first
    ).to_have_text(f"{_figure(page):.2f}")
    shot(page, "desktop-light-motion")
    page.get_by_role("button", name="Wipe").click()
    divider = page.get_by_role("slider", name="Divider")
    divider.press("Home")
    assert page.locator(".lk-over:visible").evaluate("one => one.style.getPropertyValue('--at')") == "0%"
    assert page.evaluate(NAMELESS) == []

    with page.expect_download() as waiting:
        page.locator(".lk-actions:visible").get_by_text("MP4", exact=True).click()
    waiting.value.save_as(tmp_path / "made.mp4")
    page.get_by_role("tab", name="Generate").click()
    write(page, "prompt", "something else")
    page.locator(".lk-advanced > button:visible").click()
    page.locator("likeness-restore:visible input").set_input_files(tmp_path / "made.mp4")
    expect(page.get_by_role("tab", name="Motion", exact=True)).to_have_attribute("aria-selected", "true")
    expect(page.locator(f"{SOURCE} .lk-of-clip")).to_contain_text("my walk.mp4")
    page.get_by_role("tab", name="Generate").click()
    assert value_of(page, "prompt") == "something else", "the other form is left alone"


def _figure(page: Page) -> float | None:
    return page.evaluate("async () => (await (await fetch('studio/jobs')).json())[0].values.motion_fidelity ?? null")


@pytest.mark.parametrize(("device", "scheme"), [("phone", "dark"), ("desktop", "dark")])
def test_an_example_is_chosen_removed_and_brought_back(visit, device: str, scheme: str) -> None:
    page = visit(viewport=SIZES[device], color_scheme=scheme)
    open_motion(page)
    shot(page, f"{device}-{scheme}-motion-empty")
    page.locator(f"{SOURCE} .lk-example").nth(1).click()
    page.wait_for_selector(f"{SOURCE} .lk-player")
    motion_is_seen(page)
    shot(page, f"{device}-{scheme}-motion-source")
    page.get_by_role("button", name="Replace").click()
    expect(page.locator(f"{SOURCE} .lk-kept li")).to_have_count(1)
    page.locator(f"{SOURCE} .lk-kept [data-do=choose]").click()
    page.locator(f"{SOURCE} [data-do=remove]").click()
    expect(page.locator(f"{SOURCE} .lk-player")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(f"{SOURCE} .lk-player")).to_have_count(1)


def test_what_is_no_clip_gets_one_sentence(visit, tmp_path: Path) -> None:
    page = visit()
    open_motion(page)
    (tmp_path / "holiday.mp4").write_text("just some words")
    page.locator(f"{SOURCE} input[type=file]").set_input_files(tmp_path / "holiday.mp4")
    refused = page.locator(f"{SOURCE} .lk-refused")
    expect(refused).to_contain_text("holiday.mp4")
    assert one_sentence(refused.inner_text())
    write(page, "prompt", PROMPT)
    page.locator(".lk-generate:visible").click()
    expect(page.locator(".lk-problem:visible")).to_contain_text("No source clip is chosen")


def test_without_a_camera_the_way_out_is_named(visit) -> None:
    page = visit()
    open_motion(page)
    page.get_by_role("button", name="Record with the camera").click()
    refused = page.locator(f"{SOURCE} .lk-refused")
    expect(refused).to_contain_text("choose a file")
    assert one_sentence(refused.inner_text())
