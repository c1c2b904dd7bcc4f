"""A sentence goes in, a moving picture comes out while one watches."""

from pathlib import Path

from pages import LONG, QUICK, STAGE, cards, generate, job_ids, value_of, wait_for_preview, wait_for_state, write
from playwright.sync_api import expect

PROMPT = "a red ball bounces in a meadow"


def preview_version(page) -> int:
    return int(page.locator("img.lk-preview").get_attribute("data-version"))


def test_a_prompt_becomes_a_playing_clip_that_is_there_after_a_reload(visit):
    page = visit()
    generate(page, PROMPT, steps=12)
    wait_for_preview(page)
    first = preview_version(page)
    page.wait_for_function("first => Number(document.querySelector('img.lk-preview')?.dataset.version ?? 1e9) > first", arg=first)
    wait_for_state(page, "done")
    plays(page)
    expect(page.locator(".lk-seed code")).to_have_text(str(job(page)["seed"]))
    made = job_ids(page)
    page.reload()
    wait_for_state(page, "done")
    plays(page)
    assert job_ids(page) == made
    assert value_of(page, "prompt") == PROMPT and value_of(page, "steps") == "12"


def plays(page) -> None:
    """The video has data and its time advances."""
    page.wait_for_function("document.querySelector('likeness-stage video')?.readyState >= 3")
    page.wait_for_function("document.querySelector('likeness-stage video').currentTime > 0")
    assert not page.evaluate("document.querySelector('likeness-stage video').paused")
    assert page.evaluate("document.querySelector('likeness-stage video').videoWidth") >= 32


def job(page, index: int = 0) -> dict:
    """What the studio says of one of the visitor's jobs, 0 = the newest."""
    return page.evaluate("async (index) => (await (await fetch('studio/jobs')).json())[index]", index)


def test_a_finished_clip_is_saved_reused_and_restored(visit, tmp_path: Path):
    page = visit()
    generate(page, PROMPT, **QUICK)
    wait_for_state(page, "done")
    seed = job(page)["seed"]
    saved = {}
    for kind in ("MP4", "GIF", "PNG"):
        with page.expect_download() as waiting:
            page.locator(".lk-actions").get_by_text(kind, exact=True).click()
        saved[kind] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(saved[kind])
    assert [path.read_bytes()[:4] for path in saved.values()][1:] == [b"GIF8", b"\x89PNG"] and b"ftyp" in saved["MP4"].read_bytes()[:12]
    page.get_by_role("button", name="Reuse seed").click()
    expect(page.locator(".lk-seed input:visible")).to_have_value(str(seed))
    page.get_by_role("button", name="A new seed for every clip").click()
    expect(page.locator(".lk-seed input:visible")).to_have_value("-1")
    write(page, "prompt", "something else")
    page.locator(".lk-advanced > button:visible").click()
    page.locator("likeness-restore input").set_input_files(saved["MP4"])
    expect(page.locator(".lk-prompt textarea")).to_have_value(PROMPT)
    assert (value_of(page, "seed"), value_of(page, "steps"), value_of(page, "frames")) == (str(seed), "2", "5")


def test_a_reload_finds_the_running_job_again(visit):
    page = visit()
    generate(page, PROMPT, **LONG)
    wait_for_preview(page)
    page.reload()
    wait_for_state(page, "running")
    wait_for_preview(page)
    page.get_by_role("button", name="Stop", exact=True).first.click()
    wait_for_state(page, "cancelled")


def test_stop_takes_effect_and_the_next_job_runs(visit):
    page = visit()
    generate(page, PROMPT, **LONG)
    wait_for_preview(page)
    generate(page, "a blue cube falls in the snow", **QUICK)
    expect(cards(page)).to_have_count(2)
    cards(page).nth(1).locator("[data-do=open]").click()
    wait_for_state(page, "running")
    page.locator(f"{STAGE} [data-do=stop]").click()
    wait_for_state(page, "cancelled")
    assert job(page, 1)["step"] < LONG["steps"]
    cards(page).nth(0).locator("[data-do=open]").click()
    wait_for_state(page, "done")


def test_a_deleted_clip_can_be_brought_back(visit):
    page = visit()
    generate(page, PROMPT, **QUICK)
    wait_for_state(page, "done")
    page.locator(f"{STAGE} [data-do=delete]").click()
    expect(cards(page)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(cards(page)).to_have_count(1)
    wait_for_state(page, "done")


def test_the_keyboard_generates(visit):
    page = visit()
    page.locator("likeness-examples button").first.click()
    expect(page.locator(".lk-prompt textarea")).not_to_have_value("")
    write(page, "steps", 2)
    page.locator(".lk-prompt textarea").press("Control+Enter")
    wait_for_state(page, "done")


def test_an_example_plays_while_pointed_at_and_writes_its_caption(visit):
    page = visit()
    card = page.locator("likeness-examples button").nth(1)
    card.hover()
    page.wait_for_function("document.querySelectorAll('likeness-examples video')[1].currentTime > 0")
    card.click()
    assert value_of(page, "prompt") == card.get_attribute("data-prompt") != ""
