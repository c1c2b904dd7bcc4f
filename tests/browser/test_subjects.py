"""Pictures go in, somebody comes out whom the model can put into a clip."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import QUICK, STAGE, generate, one_sentence, open_tab, value_of, wait_for_state, write
from PIL import Image
from playwright.sync_api import Page, expect

from pipelines.playground.render import render
from pipelines.playground.scene import TRAIN_SEEDS, Scene, instance

TRAINING = "likeness-training"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two pictures of one toy, the first of them twice, and a file that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    toy = instance(TRAIN_SEEDS[0])
    for name, place in (("one.png", "meadow"), ("two.png", "snow"), ("again.png", "meadow")):
        Image.fromarray(render(Scene(1, place, "static", (toy,)), 1, 96, 96).frames[0]).save(folder / name)
    (folder / "notes.png").write_text("not a picture")
    return [folder / name for name in ("one.png", "two.png", "again.png", "notes.png")]


def learn(page: Page, pictures: list[Path], name: str = "Rex", steps: int = 2) -> None:
    """Teach the model a toy of that name."""
    open_tab(page, "Subject")
    page.locator("likeness-pictures input").set_input_files(pictures)
    expect(page.locator(".lk-thumbs img")).to_have_count(2)
    write(page, "name", name)
    write(page, "class_word", "toy")
    page.locator(".lk-advanced > button:visible").click()
    page.locator(".lk-steps input:visible").fill(str(steps))
    page.locator(".lk-generate:visible").click()
    page.wait_for_selector(f"{TRAINING}[data-state=done]", timeout=180_000)


def test_a_subject_is_learnt_used_and_brought_back(visit, pictures: list[Path]) -> None:
    page = visit()
    learn(page, pictures)
    refused = page.locator(".lk-refused li")
    expect(refused).to_have_count(2)
    assert all(one_sentence(line) for line in refused.all_inner_texts())
    expect(refused.first).to_have_text("again.png shows the same as one.png and is left out.")
    page.locator(f"{TRAINING} [data-do=use]").click()
    expect(page.locator("likeness-pick .lk-chip[aria-pressed=true]")).to_have_text("Rex")
    generate(page, "a toy jumps in the snow", **QUICK)
    wait_for_state(page, "done")
    asked = page.evaluate("async () => (await (await fetch('studio/jobs')).json())[0]")
    assert (asked["method"], asked["values"]["prompt"]) == ("personalise", "a <rex> toy jumps in the snow")
    page.get_by_role("button", name="No subject").click()
    write(page, "prompt", "a red ball")
    page.locator(f"{STAGE} [data-do=reuse]").click()
    expect(page.locator("likeness-pick .lk-chip[aria-pressed=true]")).to_have_text("Rex")
    assert value_of(page, "prompt") == "a toy jumps in the snow"
    open_tab(page, "Library")
    page.locator("likeness-subjects:visible [data-do=delete]").click()
    expect(page.locator("likeness-subjects:visible .lk-subject")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("likeness-subjects:visible .lk-subject")).to_have_count(1)


def test_a_subject_is_renamed_trained_further_exported_and_imported(visit, pictures: list[Path], tmp_path: Path) -> None:
    page = visit()
    learn(page, pictures, "Tom")
    cards = page.locator("likeness-subjects:visible")
    cards.locator("[data-do=rename]").click()
    cards.locator("form input").fill("Max")
    cards.locator("form input").press("Enter")
    expect(cards.locator(".lk-about b")).to_have_text("Max")
    cards.locator("[data-do=further]").click()
    cards.locator("form input").fill("2")
    cards.get_by_role("button", name="Train more steps").click()
    expect(cards.locator(".lk-facts span").first).to_have_text("4 steps", timeout=120_000)
    with page.expect_download() as waiting:
        cards.get_by_role("link", name="Export Max").click()
    waiting.value.save_as(tmp_path / "max.zip")
    other = visit()
    open_tab(other, "Library")
    other.locator("likeness-subjects:visible input[type=file]").set_input_files(tmp_path / "max.zip")
    expect(other.locator("likeness-subjects:visible .lk-about b")).to_have_text("Max")


def test_stopping_keeps_what_was_learnt_and_it_goes_on(visit, pictures: list[Path]) -> None:
    page = visit(viewport={"width": 390, "height": 844})
    open_tab(page, "Subject")
    page.locator("likeness-pictures input").set_input_files(pictures[:1])
    write(page, "name", "Ada")
    write(page, "class_word", "toy")
    page.locator(".lk-generate:visible").click()
    page.wait_for_function("document.querySelector('likeness-training [data-part=count]')?.textContent.match(/^[1-9]/)", timeout=120_000)
    page.reload()
    open_tab(page, "Subject")
    page.locator(f"{TRAINING} [data-do=stop]").click()
    page.wait_for_selector(f"{TRAINING}[data-state=cancelled]")
    expect(page.locator(f"{TRAINING} .lk-message")).to_contain_text("is in your library")
    page.locator(f"{TRAINING} [data-do=retry]").click()
    page.wait_for_selector(f"{TRAINING}[data-state=running]")
    page.locator(f"{TRAINING} [data-do=stop]").click()
    page.wait_for_selector(f"{TRAINING}[data-state=cancelled]")


def test_a_prompt_that_does_not_speak_of_the_subject_is_told_so(visit, pictures: list[Path]) -> None:
    page = visit()
    learn(page, pictures, "Kim")
    page.locator(f"{TRAINING} [data-do=use]").click()
    generate(page, "snow falls", **QUICK)
    problem = page.locator(".lk-problem:visible")
    expect(problem).to_contain_text("does not speak of Kim")
    assert one_sentence(problem.inner_text())
    page.get_by_role("button", name="<kim> toy").click()
    expect(page.locator(".lk-prompt textarea")).to_have_value("<kim> toy snow falls")
