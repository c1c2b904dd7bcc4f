"""The Generate tab: a sentence in, a clip out, with a subject of one's own if there is one, watched while it is drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence

import gradio as gr

from pipelines.methods.appearance_warping.request import PersonaliseRequest
from pipelines.methods.zero_shot_subject.request import SubjectRequest
from pipelines.requests import VideoRequest
from studio.adapters import told
from studio.examples import cards, toy_cards
from studio.form import Choice, Form
from studio.markup import element
from studio.panels.parts import action, advanced, model_and_shape

OF_PICTURE = tuple(name for name in SubjectRequest.model_fields if name not in VideoRequest.model_fields and name != "image")
"""Settings of a clip of the subject in one picture."""


def generate_panel(page: gr.Blocks, models: Sequence[Choice]) -> None:
    """Build the tab's content in the surrounding gradio layout."""
    further = {name: row for name, row in SubjectRequest.settings().items() if name in OF_PICTURE}
    form = Form(PersonaliseRequest, models, elsewhere=("subject", "reference", "lora"), further=further)
    with gr.Row(elem_classes="lk-panel"):
        with gr.Column(elem_classes="lk-controls"):
            _controls(form)
            button = action(form)
        with gr.Column(elem_classes="lk-view"):
            element("likeness-stage")
            element("likeness-clips")
    form.connect(page, button)


def _controls(form: Form) -> None:
    method, adapters = form.kind.method, told(SubjectRequest.method)
    offered = json.dumps(adapters)
    element("likeness-pick", offered=offered)
    with gr.Column(elem_classes="lk-of-picture"):
        element("likeness-picture", toy_cards(), method=method, offered=offered)
        form.place("class_word", placeholder="teapot", info=None)
        element("likeness-spoken", method=method)
    form.place("prompt", placeholder="A red ball bounces in a meadow, the camera zooms in", info=None)
    element("likeness-examples", cards(), method=method)
    model_and_shape(form)
    with gr.Column(elem_classes=["lk-group", "lk-of-subject"]):
        form.place("injection")
    with gr.Accordion("How appearance is injected", open=False, elem_classes=["lk-advanced", "lk-of-subject"]):
        form.place(*(name for name in form.kind.model_fields if name not in VideoRequest.model_fields and form.free(name)))
    with gr.Accordion("How the picture is used", open=False, elem_classes=["lk-advanced", "lk-of-picture"]):
        form.place("adapter", choices=[(one["title"], one["name"]) for one in adapters], value=_first(adapters), info=None)
        element("likeness-weights", method=method, setting="adapter", of=SubjectRequest.method, offered=offered, follows="model")
        form.place(*(name for name in OF_PICTURE if form.free(name)))
    advanced(form)


def _first(offered: Sequence[dict[str, str]]) -> str | None:
    return offered[0]["name"] if offered else None
