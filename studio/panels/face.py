"""The Face tab: a photo of a person in, a clip of that person out, and how alike both are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from pipelines.methods.face_identity.request import FaceRequest
from studio import adapters as weights
from studio.examples import portrait_cards
from studio.face_models import packs_elsewhere, packs_here, told
from studio.form import Choice, Form
from studio.markup import element
from studio.panels.parts import advanced, drawing_tab, model_and_shape

HINT = "Choose a photo of a person, say what shall happen, and press Generate."


def face_panel(page: gr.Blocks, models: Sequence[Choice]) -> None:
    """Build the tab's content in the surrounding gradio layout; there must be an adapter on this machine."""
    fitting = weights.fitting(FaceRequest.method, models)
    form = Form(FaceRequest, fitting, elsewhere=("photo", "face", "consent", "lora"), defaults=_fresh())
    drawing_tab(page, form, _controls, HINT)


def _fresh() -> dict[str, Any]:
    """What a fresh form holds, with face models that are here."""
    packs = [pack.name for pack in packs_here()]
    wished = weights.fresh(FaceRequest.method)
    pack = wished.get("pack", FaceRequest.model_fields["pack"].default)
    return wished | {"pack": pack if pack in packs else next(iter(packs), None)}


def _controls(form: Form) -> None:
    method = form.kind.method
    element("likeness-photo", portrait_cards(), method=method)
    form.place("prompt", placeholder="A person nods on a beach", info=None)
    with gr.Column(elem_classes=["lk-group", "lk-grid"]):
        form.place("id_scale", "ref_scale", "id_guidance")
    with gr.Column(elem_classes="lk-group"):
        for name, offered in {"adapter": weights.told(method), "pack": told()}.items():
            form.place(name, choices=[(one["title"], one["name"]) for one in offered], info=None)
            element("likeness-weights", _elsewhere() if name == "pack" else "", method=method, setting=name, offered=json.dumps(offered))
    model_and_shape(form)
    with gr.Column(elem_classes="lk-group"):
        form.place("mark")
    advanced(form)


def _elsewhere() -> str:
    """A line about face models that could be brought to this machine, and what their licences allow."""
    others = packs_elsewhere()
    licences = " ".join(dict.fromkeys(pack.licence for pack in others))
    return f"<p>Not on this machine: {escape(', '.join(pack.title for pack in others))}. {escape(licences)}</p>" if others else ""
