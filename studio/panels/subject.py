"""The Subject tab: a few pictures in, somebody the model knows out."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from pipelines.methods.subject_adaptation.request import AdaptRequest
from studio.form import Choice, Form
from studio.markup import element


def subject_panel(page: gr.Blocks, models: Sequence[Choice]) -> None:
    """Build the tab's content in the surrounding gradio layout."""
    form = Form(AdaptRequest, models)
    method = form.kind.method
    with gr.Row(elem_classes="lk-panel"):
        with gr.Column(elem_classes="lk-controls"):
            element("likeness-pictures")
            with gr.Column(elem_classes=["lk-group", "lk-grid"]):
                form.place("name", placeholder="Rex")
                form.place("class_word", placeholder="toy")
            with gr.Column(elem_classes="lk-group"):
                form.place("model", info=None)
                element("likeness-model", method=method)
                form.place("preset")
            with gr.Accordion("Advanced", open=False, elem_classes="lk-advanced"):
                form.place_rest(advanced=True)
                form.place_rest(advanced=False)
            with gr.Column(elem_classes="lk-action"):
                element("likeness-estimate", method=method)
                button = gr.Button("Learn", variant="primary", elem_classes="lk-generate")
        with gr.Column(elem_classes="lk-view"):
            element("likeness-training")
            element("likeness-subjects")
    form.connect(page, button)
