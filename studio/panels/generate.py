"""The Generate tab: a sentence in, a clip out, with a subject of one's own if there is one, watched while it is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from pipelines.methods.appearance_warping.request import PersonaliseRequest
from pipelines.requests import VideoRequest
from studio.examples import cards
from studio.form import Choice, Form
from studio.markup import element


def generate_panel(page: gr.Blocks, models: Sequence[Choice]) -> None:
    """Build the tab's content in the surrounding gradio layout."""
    form = Form(PersonaliseRequest, models, elsewhere=("subject", "reference", "lora"))
    with gr.Row(elem_classes="lk-panel"):
        with gr.Column(elem_classes="lk-controls"):
            _controls(form)
            button = _action(form)
        with gr.Column(elem_classes="lk-view"):
            element("likeness-stage")
            element("likeness-clips")
    form.connect(page, button)


def _controls(form: Form) -> None:
    method = form.kind.method
    element("likeness-pick")
    form.place("prompt", placeholder="A red ball bounces in a meadow, the camera zooms in", info=None)
    element("likeness-examples", cards(), method=method)
    with gr.Column(elem_classes="lk-group"):
        form.place("model", info=None)
        element("likeness-model", method=method)
    with gr.Column(elem_classes=["lk-group", "lk-grid"]):
        element("likeness-shapes", method=method)
        form.place("width", "height", info=None)
        form.place("frames", "steps", "guidance", "seed")
        element("likeness-seed", method=method)
    with gr.Column(elem_classes=["lk-group", "lk-of-subject"]):
        form.place("injection")
    with gr.Accordion("How appearance is injected", open=False, elem_classes=["lk-advanced", "lk-of-subject"]):
        form.place(*(name for name in form.kind.model_fields if name not in VideoRequest.model_fields and form.free(name)))
    with gr.Accordion("Advanced", open=False, elem_classes="lk-advanced"):
        element("likeness-loras")
        form.place("lora_strength")
        form.place_rest(advanced=True)
        form.place_rest(advanced=False)
        element("likeness-restore")


def _action(form: Form) -> gr.Button:
    """What stays in reach: the estimate and the button."""
    with gr.Column(elem_classes="lk-action"):
        element("likeness-estimate", method=form.kind.method)
        return gr.Button("Generate", variant="primary", elem_classes="lk-generate")
