"""Whatever is typed or dropped: one sentence in the page, and nothing is lost."""

from pathlib import Path

from pages import PROBLEM, QUICK, cards, generate, one_sentence, value_of, wait_for_state, write
from playwright.sync_api import expect

PROMPT = "a red ball bounces in a meadow"


UNFIT = [
    ({"prompt": "   "}, "prompt"),
    ({"prompt": "word " * 2000}, "2000 characters"),
    ({"prompt": PROMPT, "width": -64}, "Width must be"),
    ({"width": 64, "height": 100000}, "Height must be"),
    ({"height": 64, "seed": -7}, "Seed must be"),
]


def test_a_setting_that_does_not_fit_gets_one_sentence(visit):
    page = visit()
    for settings, says in UNFIT:
        for name, value in settings.items():
            write(page, name, value)
        page.locator(".lk-generate:visible").click()
        expect(page.locator(PROBLEM)).to_contain_text(says, ignore_case=True)
        assert one_sentence(page.locator(PROBLEM).inner_text())
        assert value_of(page, "prompt") == settings.get("prompt", PROMPT)
    expect(cards(page)).to_have_count(0)


def test_sizes_and_lengths_are_snapped_with_a_note_before_generating(visit):
    page = visit()
    write(page, "frames", 18)
    write(page, "width", 70)
    notes = page.locator("likeness-estimate:visible .lk-notes li")
    expect(notes).to_have_count(2)
    said = " ".join(notes.all_inner_texts())
    assert "18" in said and "17" in said and "70" in said and "64" in said


def test_a_number_beyond_a_slider_is_pulled_back_with_a_note(visit):
    page = visit()
    write(page, "frames", 99)
    expect(page.locator(".lk-toast")).to_contain_text("99 became 33")
    expect(page.locator(".lk-frames input:not([type=range])").first).to_have_value("33")


def test_unknown_words_are_drawn_all_the_same(visit):
    page = visit()
    generate(page, "zxqv ドラゴン 🐉 <script>alert(1)</script>", **QUICK)
    wait_for_state(page, "done")
    assert "<script>" in page.locator(".lk-caption .lk-words").inner_text()


def test_a_file_that_is_no_clip_of_ours_restores_nothing(visit, tmp_path: Path):
    page = visit()
    write(page, "prompt", PROMPT)
    page.locator(".lk-advanced > button:visible").click()
    for count, (name, text) in enumerate({"text.mp4": "just some words\n" * 50, "text.png": "words", "empty.gif": ""}.items(), 1):
        (tmp_path / name).write_text(text)
        page.locator("likeness-restore input").set_input_files(tmp_path / name)
        toasts = page.locator(".lk-toast.bad")
        expect(toasts).to_have_count(count)
        assert one_sentence(toasts.last.inner_text())
    assert value_of(page, "prompt") == PROMPT


def test_a_text_file_dropped_anywhere_on_the_page_is_refused(visit):
    page = visit()
    page.evaluate(
        """() => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File(["just some words"], "holiday.mp4", { type: "video/mp4" }));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
        }"""
    )
    expect(page.locator(".lk-toast.bad")).to_have_count(1)
    assert one_sentence(page.locator(".lk-toast.bad").inner_text())
