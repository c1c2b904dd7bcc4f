"""The Grid tab: cells that hold clips or say what they shall show; the empty ones are drawn after the others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from pipelines.methods.grid.layout import LAYOUTS, Layout
from pipelines.methods.grid.request import GridRequest
from pipelines.methods.grid.upsample import LANCZOS, NETWORKS
from studio.adapters import fitting, fresh, told
from studio.examples import cards
from studio.form import Choice, Form
from studio.markup import element
from studio.panels.parts import advanced, drawing_tab, model_and_shape

HINT = "Put a clip into a cell, write in the others what shall change, and press Generate."

ELSEWHERE = ("written", "lora", "concepts", "concepts_strength")
"""What the page's own elements hold, and what a file of a visitor's would be needed for."""

EFFECTS: tuple[dict[str, Any], ...] = (
    {
        "title": "Rain",
        "example": "star-jumps-beach.mp4",
        "words": ["in the rain", "in pouring rain", "in the rain in purple light"],
    },
    {
        "title": "Purple light and smoke",
        "example": "heart-swings-room.mp4",
        "words": ["in purple light in drifting smoke", "under purple light", "among clouds of smoke"],
    },
    {
        "title": "Light on the hair",
        "example": "person-turns-room.mp4",
        "words": ["with light from behind", "in bright light from behind", "with light from behind in drifting smoke"],
    },
    {
        "title": "Water",
        "example": "person-talks-beach.mp4",
        "words": ["half under water", "standing in deep water", "half under water in the rain"],
    },
    {
        "title": "Sparks",
        "example": "red-ball-bounces-meadow.mp4",
        "words": ["among flying sparks", "with glowing sparks", "among flying sparks in purple light"],
    },
)
"""One clip, and three cells in which one thing changes; a clip that is there already stays."""

PAIR: dict[str, Any] = {
    "title": "Compose A with B",
    "examples": ["star-jumps-beach.mp4", "red-ball-bounces-meadow.mp4"],
    "words": [
        "a yellow star jumps and a red striped ball bounces up and down on a beach",
        "a yellow star jumps and a red striped ball bounces up and down in a meadow",
    ],
}
"""Two clips, and two cells that bring them together."""

SCENES: dict[str, Any] = {
    "title": "Four scenes of one character",
    "prompt": "a red star jumps",
    "words": ["on a beach", "in the snow", "in a forest", "under a night sky"],
}
"""No clip, one character."""


def grid_panel(page: gr.Blocks, models: Sequence[Choice]) -> None:
    """Build the tab's content in the surrounding gradio layout; there must be an adapter on this machine."""
    method = GridRequest.method
    form = Form(GridRequest, fitting(method, models), elsewhere=ELSEWHERE, defaults=fresh(method))
    drawing_tab(page, form, _controls, HINT)


def _controls(form: Form) -> None:
    method = form.kind.method
    element("likeness-templates", method=method, templates=json.dumps(templates()))
    with gr.Column(elem_classes="lk-grid"):
        form.place("layout", "mode")
    form.place("prompt", placeholder="a yellow star jumps on a beach", info=None)
    element("likeness-cells", cards(), method=method, layouts=json.dumps({name: Layout.read(name).names for name in LAYOUTS}))
    element("likeness-written", method=method)
    with gr.Column(elem_classes="lk-group"):
        offered = told(method)
        form.place("adapter", choices=[(one["title"], one["name"]) for one in offered], info=None)
        element("likeness-weights", method=method, setting="adapter", offered=json.dumps(offered))
        form.place("strength")
    model_and_shape(form)
    with gr.Column(elem_classes=["lk-group", "lk-grid"]):
        form.place("upscale")
        form.place("upsampler", choices=[("A filter (Lanczos)", LANCZOS), *((one.title, one.name) for one in NETWORKS if one.here)])
    with gr.Accordion("Tags", open=False, elem_classes="lk-advanced"):
        element("likeness-tags", method=method)
        form.place("identity", placeholder="yellow-star", info=None)
        form.place("motion", placeholder="jumps", info=None)
    advanced(form)


def templates() -> list[dict[str, Any]]:
    """What each template puts into the form: settings, and for each cell an example's file, words, or both."""
    edits = [_filled(one["title"], [one["example"]], [{"text": words} for words in one["words"]]) for one in EFFECTS]
    pair = _filled(PAIR["title"], PAIR["examples"], [{"text": words} for words in PAIR["words"]], "compose")
    scenes = _filled(SCENES["title"], [], [{"text": words} for words in SCENES["words"]]) | {"prompt": SCENES["prompt"]}
    return [*edits, pair, scenes]


def _filled(title: str, examples: list[str], others: list[dict[str, str]], mode: str = "edit") -> dict[str, Any]:
    """A template whose first cells hold examples."""
    return {"title": title, "layout": "2x2", "mode": mode, "cells": [*({"example": file} for file in examples), *others]}
