"""The Motion tab: a clip that moves as another one does, shows what the prompt says, and is seen beside its source."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from pipelines.methods.motion_transfer.request import MotionRequest
from studio.examples import cards
from studio.form import Choice, Form
from studio.markup import element
from studio.panels.parts import advanced, drawing_tab, model_and_shape

HINT = "Choose a clip that moves as you like, say what shall move so, and press Generate."


def motion_panel(page: gr.Blocks, models: Sequence[Choice]) -> None:
    """Build the tab's content in the surrounding gradio layout."""
    form = Form(MotionRequest, models, elsewhere=("source", "start", "end", "crop", "lora"))
    drawing_tab(page, form, _controls, HINT)


def _controls(form: Form) -> None:
    method = form.kind.method
    element("likeness-source", cards(), method=method)
    form.place("prompt", placeholder="A blue star jumps in the snow", info=None)
    with gr.Column(elem_classes="lk-group"):
        element("likeness-taken", method=method)
        form.place("source_prompt", placeholder="A red ball bounces in a meadow")
        form.place("strength")
    model_and_shape(form)
    advanced(form)
