"""The Storyboard tab: a character, a list of shots, and how alike and how free they are; watched shot by shot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from pipelines.methods.storyboard.plan import windows
from pipelines.methods.storyboard.request import StoryboardRequest
from studio.form import Choice, Form
from studio.markup import element
from studio.panels.parts import advanced, drawing_tab, model_and_shape

HINT = "Say who is in every shot and what happens in each, then press Generate."

EXAMPLES: tuple[dict[str, Any], ...] = (
    {
        "title": "A star on a journey",
        "prompt": "a red star",
        "shots": ["jumps in the snow", "moves to the left on a green meadow", "spins in the desert"],
    },
    {
        "title": "A fish out of water",
        "prompt": "a blue striped fish",
        "shots": ["glides from left to right under the ocean", "bounces on a beach", "circles under a night sky", "rests in a room"],
    },
)
"""Boards that the playground's model knows all words of."""

STOPS = 21
"""Places of a slider."""


def storyboard_panel(page: gr.Blocks, models: Sequence[Choice]) -> None:
    """Build the tab's content in the surrounding gradio layout."""
    form = Form(StoryboardRequest, models, elsewhere=("subject", "lora"))
    drawing_tab(page, form, _controls, HINT)


def _controls(form: Form) -> None:
    method = form.kind.method
    element("likeness-pick", method=method)
    form.place("prompt", placeholder="a red star", info=None)
    form.place("style", placeholder="watercolour", info=None)
    element("likeness-shots", method=method, examples=json.dumps(EXAMPLES))
    with gr.Column(elem_classes="lk-group"):
        element("likeness-balance", method=method, stops=json.dumps(stops()))
    model_and_shape(form)
    with gr.Column(elem_classes=["lk-group", "lk-grid"]):
        form.place("together")
    advanced(form)


def stops() -> dict[str, list[dict[str, float | bool]]]:
    """What each of the two sliders sets at each of its places: only what changes along its way."""
    shares = [place / (STOPS - 1) for place in range(STOPS)]
    rows = {"consistency": [windows(share, 0.5) for share in shares], "freedom": [windows(0.5, share) for share in shares]}
    return {name: _changing(row) for name, row in rows.items()}


def _changing(row: list[dict[str, float | bool]]) -> list[dict[str, float | bool]]:
    names = [name for name in row[0] if any(place[name] != row[0][name] for place in row)]
    return [{name: place[name] for name in names} for place in row]
