"""The Train tab: an adapter is trained on what the playground draws, with its curves and samples as they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from pipelines.methods.face_training.request import TrainFaceRequest
from pipelines.methods.subject_training.request import TrainSubjectsRequest
from pipelines.models.registry import entry
from studio.adapters import adapters_here
from studio.face_models import packs_here
from studio.form import Choice, Form
from studio.markup import element
from studio.trainings import LONGEST, NAMES, TRAINED, TrainRequest

NAME = {"label": "Name", "type": "string", "widget": "text", "default": "", "help": "What the adapter is called where it can be chosen."}


@dataclass(frozen=True)
class Course:
    """One kind of training.

    Attributes:
        kind: its request.
        title, world: what it is called, and what is learnt from.
        family: of the models that it is for.
        amounts: settings that say how much there is to learn from.
        defaults: what a fresh form holds; a visitor wants to see something soon.
        elsewhere: settings that are not asked for.
    """

    kind: type[TrainRequest]
    title: str
    world: str
    family: str
    amounts: tuple[str, ...]
    defaults: dict[str, Any] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()


COURSES = (
    Course(
        TrainSubjectsRequest,
        "Subjects",
        "Learns to draw whatever one picture shows, from toys and clips that the playground draws while it is prepared.",
        "cogvideox",
        ("drawn", "drawn_clips"),
        {"preset": "quick", "drawn": 512, "drawn_clips": 160, "monitor_every": 25, "sample_every": 50},
        ("pairs", "clips", "keep_latents", "minutes"),
    ),
    Course(
        TrainFaceRequest,
        "Faces",
        "Learns to keep the face in one photo, from people that the playground draws while it is prepared.",
        "wan",
        ("drawn",),
        {"preset": "quick", "drawn": 256, "sample_every": 50},
        ("people", "consent"),
    ),
)


def train_panel(page: gr.Blocks, models: Sequence[Choice]) -> None:
    """Build the tab's content in the surrounding gradio layout."""
    courses = COURSES if packs_here() else COURSES[:1]
    with gr.Row(elem_classes="lk-panel"):
        connected = [_form(course, models, len(courses) > 1) for course in courses]
        with gr.Column(elem_classes="lk-view"):
            element("likeness-course")
            element("likeness-adapters")
    for form, button in connected:
        form.connect(page, button)


def _form(course: Course, models: Sequence[Choice], chosen: bool) -> tuple[Form, gr.Button]:
    """The controls of one kind of training.

    Args:
        chosen: whether there is another kind to choose instead.
    """
    fitting = [choice for choice in models if entry(choice[1]).family == course.family]
    form = Form(course.kind, fitting, course.elsewhere, course.defaults, {"name": NAME})
    method = form.kind.method
    with gr.Column(elem_classes=["lk-controls", f"lk-{method}"]):
        if chosen:
            element("likeness-courses", course=method)
        element("likeness-world", f"<p>{course.world}</p>")
        with gr.Column(elem_classes="lk-group"):
            form.place("name", placeholder=NAMES[course.kind], max_length=LONGEST)
            form.place("model", info=None)
            element("likeness-model", method=method)
        with gr.Column(elem_classes=["lk-group", "lk-grid"]):
            form.place("preset", *course.amounts, "sample_every")
        with gr.Accordion("Advanced", open=False, elem_classes="lk-advanced"):
            _weights(form, course)
            form.place_rest(advanced=False)
            form.place_rest(advanced=True)
        with gr.Column(elem_classes="lk-action"):
            element("likeness-estimate", method=method)
            button = gr.Button("Train", variant="primary", elem_classes="lk-generate")
    return form, button


def _weights(form: Form, course: Course) -> None:
    """What a training begins with, and who looks at faces, out of what is on this machine."""
    packs = [(pack.title, pack.name) for pack in packs_here()]
    started = [("Nothing", ""), *((one.title, one.name) for one in adapters_here(TRAINED[course.kind]))]
    for name, choices in {"start": started, "pack": packs}.items():
        if form.free(name):
            form.place(name, choices=choices)
