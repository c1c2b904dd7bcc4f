"""What the tabs that draw clips have in common."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from studio.form import Form
from studio.markup import element


def drawing_tab(page: gr.Blocks, form: Form, controls: Callable[[Form], None], hint: str) -> None:
    """A tab's content: what `controls` places and the button at the left, the stage and the clips at the right.

    Args:
        hint: what the empty stage says.
    """
    with gr.Row(elem_classes="lk-panel"):
        with gr.Column(elem_classes="lk-controls"):
            controls(form)
            button = action(form)
        with gr.Column(elem_classes="lk-view"):
            element("likeness-stage", hint=hint)
            element("likeness-clips")
    form.connect(page, button)


def model_and_shape(form: Form) -> None:
    """The model, and size, length, steps, guidance and seed of the clip."""
    method = form.kind.method
    with gr.Column(elem_classes="lk-group"):
        form.place("model", info=None)
        element("likeness-model", method=method)
    with gr.Column(elem_classes=["lk-group", "lk-grid"]):
        element("likeness-shapes", method=method)
        form.place("width", "height", info=None)
        form.place("frames", "steps", "guidance", "seed")
        element("likeness-seed", method=method)


def advanced(form: Form) -> None:
    """LoRAs, every field that is not placed yet, and restoring; place it last."""
    with gr.Accordion("Advanced", open=False, elem_classes="lk-advanced"):
        element("likeness-loras", method=form.kind.method)
        form.place("lora_strength")
        form.place_rest(advanced=True)
        form.place_rest(advanced=False)
        element("likeness-restore")


def action(form: Form) -> gr.Button:
    """What stays in reach: the estimate and the button."""
    with gr.Column(elem_classes="lk-action"):
        element("likeness-estimate", method=form.kind.method)
        return gr.Button("Generate", variant="primary", elem_classes="lk-generate")
