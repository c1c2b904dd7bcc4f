"""What a clip was decided by: watched while it is drawn, scrubbed through afterwards, and beside the clip without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from matched_dot import DECIDED
from pages import STAGE, cards, wait_for_state
from playwright.sync_api import Page, expect
from running import Running, running_studio
from test_looks import SIZES, shot

INSPECTOR = "likeness-inspector"
NAMES = ["reference", "denoised", *DECIDED, "finished"]
CLIP = {"prompt": "a striped dot rolls", "width": 96, "height": 64, "frames": 17, "steps": 10, "seed": 3}
SUBMIT = """async (settings) => (await (await fetch("studio/jobs", {
    method: "POST", headers: { "X-Likeness": "1" }, body: JSON.stringify({ method: "generate", settings }),
})).json()).id"""
FRAME = 1 / 8  # seconds


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A studio in which everything is drawn by `matched_dot`."""
    with running_studio(tmp_path_factory.mktemp("staged"), "staged.py") as studio:
        yield studio


@pytest.fixture
def drawn(visit) -> Callable[..., Page]:
    """Opens the studio as a new visitor who has a finished clip."""

    def opener(settings: dict | None = None, **options) -> Page:
        page = visit(**options)
        submit(page, **{"injection": "warp"} | (settings or {}))
        wait_for_state(page, "done")
        return page

    return opener


def submit(page: Page, **settings) -> str:
    return page.evaluate(SUBMIT, CLIP | settings)


def tile(page: Page, name: str):
    return page.locator(f'{INSPECTOR} .lk-tiles button[data-name="{name}"]')


def pixels(page: Page, name: str) -> str:
    return tile(page, name).locator("canvas").evaluate("canvas => canvas.toDataURL()")


def slide(page: Page, name: str, value: int) -> None:
    page.get_by_role("slider", name=name, exact=True).and_(page.locator(f"{INSPECTOR} input")).fill(str(value))


def test_the_newest_of_each_is_on_view_while_it_is_drawn(visit):
    page, asked = visit(), []
    page.on("request", lambda request: asked.append(request.url) if "seen.webp" in request.url else None)
    submit(page, injection="warp", step_seconds=0.8)
    expect(page.locator(f"{INSPECTOR}[live] .lk-tiles li")).to_have_count(11)
    expect(page.locator(f"{INSPECTOR} summary")).to_contain_text("of 10")
    assert [one.inner_text() for one in page.locator(".lk-tiles button > span:last-child").all()] == NAMES[:-1]
    first = pixels(page, "denoised")
    page.wait_for_function("first => document.querySelector('.lk-tiles [data-name=denoised] canvas').toDataURL() !== first", arg=first)
    wait_for_state(page, "done")
    assert len(asked) == len(set(asked)), "no picture is asked for twice"
    assert len([url for url in asked if "name=reference&" in url and "side=160" in url]) == 1
    expect(page.locator(f"{INSPECTOR} .lk-tiles li")).to_have_count(12)


def test_steps_and_frames_can_be_scrubbed_and_a_picture_enlarged(drawn):
    page = drawn()
    summary = page.locator(f"{INSPECTOR} summary")
    expect(summary).to_contain_text("step 4 of 10, frame 1 of 5")  # the last that was matched
    page.wait_for_function("[...document.querySelectorAll('.lk-tiles canvas')].every((canvas) => canvas.width === 160)")
    before = {name: pixels(page, name) for name in ("denoised", "injection mask", "reference", "finished")}
    slide(page, "Frame", 4)
    expect(summary).to_contain_text("frame 5 of 5")
    changed = {name for name, old in before.items() if pixels(page, name) != old}
    assert changed == {"denoised", "injection mask", "finished"}
    page.get_by_role("slider", name="Step", exact=True).and_(page.locator(f"{INSPECTOR} input")).press("ArrowRight")
    expect(summary).to_contain_text("step 5 of 10")
    expect(tile(page, "injection mask").locator("em")).to_have_text("step 4")
    slide(page, "Step", 0)
    expect(tile(page, "injection mask").locator("em")).to_have_text("not yet")
    slide(page, "Step", 2)
    tile(page, "flow to the reference").click()
    large = page.locator(".lk-large")
    expect(large).to_contain_text("direction")
    page.wait_for_function("document.querySelector('.lk-large canvas').width === 640")
    large.get_by_role("button", name="Close").press("Escape")
    expect(large).to_be_hidden()
    expect(tile(page, "flow to the reference")).to_be_focused()


def marks(page: Page) -> dict[str, tuple[float, float, bool]]:
    """Which pictures have a dot: of -> (column, row, hollow), counted in tokens."""
    found = page.locator("likeness-matches").evaluate(
        """all => [...all.querySelectorAll(".lk-point .lk-dot:not([hidden])")].map((dot) => [dot.parentElement.dataset.of,
            parseFloat(dot.style.left) * 12 / 100 - 0.5, parseFloat(dot.style.top) * 8 / 100 - 0.5, dot.classList.contains("lk-hollow")])"""
    )
    return {of: (round(x, 3), round(y, 3), hollow) for of, x, y, hollow in found}


def press(page: Page, of: object, column: int, row: int) -> None:
    """Click the middle of a token."""
    place = page.locator(f'.lk-point[data-of="{of}"]')
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    place.click(position={"x": (column + 0.5) * box["width"] / 12, "y": (row + 0.5) * box["height"] / 8})


MATCHES = """async () => {
    const [job] = await (await fetch("studio/jobs")).json();
    return await (await fetch(`media/${job.id}/matches.json?step=3`)).json();
}"""


def matches(page: Page) -> dict:
    """What went where at the last step that was matched."""
    return page.evaluate(MATCHES)


def test_a_point_of_the_reference_is_found_in_every_frame_and_the_reverse(drawn):
    page = drawn()
    truth = matches(page)
    press(page, "reference", 5, 3)
    expected = {}
    for frame in range(5):
        right, down = truth["from_reference"][frame][3][5]
        expected[str(frame)] = (5 + right, 3 + down, not truth["trusted"][frame][3 + down][5 + right])
    assert marks(page) == expected and {hollow for *_, hollow in expected.values()} <= {True, False}
    expect(page.locator(".lk-said")).to_contain_text("column 6, row 4 of the reference")
    page.keyboard.press("ArrowDown")
    assert {row for _, row, _ in marks(page).values()} == {4}
    press(page, 3, 8, 3)
    right, down = truth["to_reference"][3][3][8]
    assert marks(page) == {"reference": (8 + right, 3 + down, not truth["trusted"][3][3][8])}
    expect(page.locator(f"{INSPECTOR} summary")).to_contain_text("frame 4 of 5")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator('.lk-point[data-of="4"]')).to_be_focused()
    assert set(marks(page)) == {"reference"}
    slide(page, "Step", 0)
    expect(page.locator(".lk-said")).to_contain_text("matching begins at step 2")
    assert marks(page) == {}


def test_matches_that_are_not_trusted_are_hollow(drawn):
    page = drawn()
    truth = matches(page)
    column = next(x for x in range(12) if not truth["trusted"][0][0][x])
    trusted = next((x, y) for y in range(8) for x in range(12) if truth["trusted"][0][y][x])
    press(page, 0, column, 0)
    assert marks(page)["reference"][2] is True
    press(page, 0, *trusted)
    assert marks(page)["reference"][2] is False


def test_a_touch_points_too(drawn):
    page = drawn(viewport=SIZES["phone"], has_touch=True)
    place = page.locator('.lk-point[data-of="reference"]')
    place.scroll_into_view_if_needed()
    place.tap(position={"x": 4, "y": 4})
    expect(page.locator(".lk-said")).to_contain_text("column 1, row 1 of the reference")


def test_a_clip_with_one_picture_folds_its_steps_away(drawn):
    page = drawn({"injection": "off"})
    details = page.locator(f"{INSPECTOR} details")
    expect(details).not_to_have_attribute("open", "")
    page.locator(f"{INSPECTOR} summary").click()
    expect(page.locator(f"{INSPECTOR} .lk-tiles li")).to_have_count(2)
    first = pixels(page, "denoised")
    slide(page, "Step", 0)
    page.wait_for_function("first => document.querySelector('.lk-tiles [data-name=denoised] canvas').toDataURL() !== first", arg=first)
    expect(page.locator("likeness-matches")).to_be_hidden()


def test_steps_that_are_lost_are_one_sentence(drawn, studio):
    page = drawn()
    for file in studio.home.glob("**/steps.npz"):
        file.unlink()
    page.reload()
    wait_for_state(page, "done")
    page.locator(f"{INSPECTOR} summary").click()
    expect(page.locator(".lk-lost")).to_have_text("The steps of this clip are no longer kept.")
    expect(page.locator(f"{INSPECTOR} input").first).to_be_hidden()


APART = """async (seconds) => {
    const [one, other] = document.querySelectorAll(".lk-twins video");
    let most = 0;
    for (const end = performance.now() + 1000 * seconds; performance.now() < end; await new Promise(requestAnimationFrame)) {
        const apart = Math.abs(one.currentTime - other.currentTime);
        if (!one.seeking && !other.seeking) most = Math.max(most, Math.min(apart, one.duration - apart));
    }
    return most;
}"""


def test_a_clip_is_compared_with_itself_without_injection(drawn):
    page = drawn({"seed": -1, "step_seconds": 0.2})
    page.get_by_role("button", name="Compare with injection off").click()
    expect(page.locator(".lk-twin")).to_contain_text("with injection off")
    wait_for_state(page, "done")
    videos = page.locator(".lk-twins video")
    expect(videos).to_have_count(2)
    expect(page.locator(".lk-twins figcaption")).to_have_text(["Injection: warp", "Injection: off"])
    seeds = page.evaluate("async () => (await (await fetch('studio/jobs')).json()).map((job) => job.seed)")
    assert len(seeds) == 2 and seeds[0] == seeds[1]
    in_sync(page)
    page.reload()
    wait_for_state(page, "done")
    cards(page).nth(1).locator("[data-do=open]").click()
    expect(videos).to_have_count(2)
    page.get_by_role("button", name="Back to one clip").click()
    expect(page.locator(f"{STAGE} video")).to_have_count(1)
    page.get_by_role("button", name="Compare with injection off").click()
    expect(videos).to_have_count(2)
    expect(cards(page)).to_have_count(2)  # nothing is drawn twice


def in_sync(page: Page) -> None:
    """What is done to one video happens to the other."""
    both = "[...document.querySelectorAll('.lk-twins video')]"
    page.wait_for_function(f"{both}.every((video) => !video.paused && video.currentTime > 0)")
    assert page.evaluate(APART, 3) < FRAME
    page.evaluate(f"{both}[1].playbackRate = 0.5")
    page.wait_for_function(f"{both}[0].playbackRate === 0.5")
    page.evaluate(f"{both}[1].pause()")
    page.wait_for_function(f"{both}[0].paused")
    page.evaluate(f"{both}[0].currentTime = 1.2")
    page.wait_for_function(f"Math.abs({both}[1].currentTime - 1.2) < {FRAME}")
    page.evaluate(f"{both}[0].loop = false")
    page.wait_for_function(f"!{both}[1].loop")
    page.evaluate(f"{both}[0].play()")
    page.wait_for_function(f"!{both}[1].paused")
    assert page.evaluate(APART, 0.5) < FRAME


@pytest.mark.parametrize(("scheme", "device"), [("light", "desktop"), ("dark", "desktop"), ("light", "phone"), ("dark", "phone")])
def test_it_fits_the_screen(drawn, scheme, device):
    page = drawn(viewport=SIZES[device], color_scheme=scheme, reduced_motion="reduce")
    expect(page.locator(f"{INSPECTOR} .lk-tiles li")).to_have_count(12)
    tile(page, "attention to the subject").click()
    page.wait_for_function("document.querySelector('.lk-large canvas').width === 640")
    assert page.evaluate("document.querySelector('likeness-stage video').paused"), "nothing moves by itself"
    page.locator(INSPECTOR).scroll_into_view_if_needed()
    shot(page, f"{device}-{scheme}-steps")
    page.get_by_role("button", name="Compare with injection off").click()
    expect(page.locator(".lk-twins video")).to_have_count(2)
    page.locator(STAGE).scroll_into_view_if_needed()
    shot(page, f"{device}-{scheme}-compared")
