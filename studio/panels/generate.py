"""The Generate tab: a sentence in, a clip out, with a subject of one's own if there is one, watched while it is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from pipelines.methods.appearance_warping.request import PersonaliseRequest
from pipelines.requests import VideoRequest
from studio.examples import cards
from studio.form import Choice, Form
from studio.markup import element
from studio.panels.parts import action, advanced, model_and_shape


def generate_panel(page: gr.Blocks, models: Sequence[Choice]) -> None:
    """Build the tab's content in the surrounding gradio layout."""
    form = Form(PersonaliseRequest, models, elsewhere=("subject", "reference", "lora"))
    with gr.Row(elem_classes="lk-panel"):
        with gr.Column(elem_classes="lk-controls"):
            _controls(form)
            button = action(form)
        with gr.Column(elem_classes="lk-view"):
            element("likeness-stage")
            element("likeness-clips")
    form.connect(page, button)


def _controls(form: Form) -> None:
    method = form.kind.method
    element("likeness-pick")
    form.place("prompt", placeholder="A red ball bounces in a meadow, the camera zooms in", info=None)
    element("likeness-examples", cards(), method=method)
    model_and_shape(form)
    with gr.Column(elem_classes=["lk-group", "lk-of-subject"]):
        form.place("injection")
    with gr.Accordion("How appearance is injected", open=False, elem_classes=["lk-advanced", "lk-of-subject"]):
        form.place(*(name for name in form.kind.model_fields if name not in VideoRequest.model_fields and form.free(name)))
    advanced(form)
