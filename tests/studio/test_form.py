"""The form comes from the request model: every setting, with its words, unit, default and range."""

import gradio as gr
import pytest

from pipelines.methods.generate.request import GenerateRequest
from pipelines.requests import Request, setting
from studio.form import Form, widget


class EverySort(Request):
    """One field of each sort that a model can have."""

    method = "every-sort"
    words: str = setting("a", label="Words", help="Some words.")
    story: str = setting("", label="Story", widget="textarea")
    count: int = setting(3, label="Count", unit="px", ge=1, le=9, step=2)
    share: float = setting(0.5, label="Share", ge=0, le=1, slider=(0, 1), step=0.05)
    mode: str = setting("fast", label="Mode", choices=["fast", "fine"])
    mirror: bool = setting(True, label="Mirror", advanced=True)


@pytest.mark.parametrize(
    ("name", "kind", "label"),
    [
        ("words", gr.Textbox, "Words"),
        ("story", gr.Textbox, "Story"),
        ("count", gr.Number, "Count (px)"),
        ("share", gr.Slider, "Share"),
        ("mode", gr.Dropdown, "Mode"),
        ("mirror", gr.Checkbox, "Mirror"),
    ],
)
def test_each_sort_of_setting_has_its_widget(name, kind, label):
    row = EverySort.settings()[name]
    made = widget(name, row, [])
    assert type(made) is kind
    assert (made.label, made.value) == (label, EverySort.model_fields[name].default)


def test_a_slider_shows_its_own_range_in_its_own_steps():
    made = widget("share", EverySort.settings()["share"], [])
    assert (made.minimum, made.maximum, made.step) == (0, 1, 0.05)


def test_every_setting_is_placed_once_and_advanced_ones_apart():
    with gr.Blocks():
        form = Form(EverySort, [])
        form.place("story")
        form.place_rest(advanced=False)
        assert list(form.widgets) == ["story", "words", "count", "share", "mode"]
        form.place_rest(advanced=True)
    assert set(form.widgets) == set(EverySort.settings())


def test_the_connected_form_hands_every_value_over_by_name():
    with gr.Blocks() as page:
        form = Form(GenerateRequest, [("A model", "playground-wan")])
        form.place_rest(advanced=False)
        form.place_rest(advanced=True)
        form.connect(page, gr.Button("Generate"))
    scripts = " ".join(str(function.js) for function in page.fns.values())
    for verb in ("take", "changed", "send", "start"):
        assert f'window.likeness.{verb}("generate", ["model", "prompt", "seed", "width"' in scripts
