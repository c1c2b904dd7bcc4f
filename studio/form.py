"""A request model as a form: widgets with labels, units, ranges, defaults and help, all read from the model.

The widgets belong to gradio; their values travel to the page's own script (`static/form.js`), which keeps them
across reloads, asks for estimates and submits. So nothing a visitor types waits in a server-side queue.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from pipelines.models.registry import entry
from pipelines.models.wishes import wishes
from pipelines.requests import Request

Choice = tuple[str, str]


class Form:
    """The widgets of one request model, placed one by one or in one go.

    Args:
        kind: the request model.
        models: (label, name) of the models on offer.
        elsewhere: fields without a widget, which the page's own elements hold.
        defaults: what a fresh form holds instead of the model's own defaults.
        further: settings that the page sends along with the model's own, in the way of `Request.settings()`.
    """

    def __init__(
        self, kind: type[Request], models: Sequence[Choice], elsewhere: Sequence[str] = (), defaults: Mapping[str, Any] | None = None,
        further: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        self.kind = kind
        self.models = list(models)
        self.elsewhere = frozenset(elsewhere)
        self.settings = {**(further or {}), **kind.settings()}
        for name, value in {**_wished(kind), **(defaults or {})}.items():
            self.settings[name]["default"] = value
        self.widgets: dict[str, gr.components.Component] = {}

    def place(self, *names: str, **changes: Any) -> None:
        """Put these fields here, in the surrounding layout. `changes` override what the model says of a widget."""
        for name in names:
            self.widgets[name] = widget(name, self.settings[name], self.models, **changes)

    def place_rest(self, advanced: bool) -> None:
        """Put every field that is not placed yet and is (or is not) marked as advanced."""
        self.place(*(name for name, row in self.settings.items() if self.free(name) and bool(row["advanced"]) is advanced))

    def free(self, name: str) -> bool:
        """Whether a field is still to be placed."""
        return name in self.settings and name not in self.widgets and name not in self.elsewhere

    def connect(self, page: gr.Blocks, button: gr.Button) -> None:
        """Join widgets, button and script; call it last, when every field is placed."""
        every = list(self.widgets.values())
        glue = {"fn": None, "queue": False, "show_progress": "hidden", "api_visibility": "private"}
        fill = gr.Button("Fill", elem_id=f"fill-{self.kind.method}", elem_classes="lk-glue")
        fill.click(js=self._script("take", values=False), outputs=every, **glue)
        gr.on([one.change for one in every], js=self._script("changed"), inputs=every, **glue)
        button.click(js=self._script("send"), inputs=every, **glue)
        page.load(js=self._script("start"), inputs=every, outputs=every, **glue)
        if "model" in self.widgets:
            own = json.dumps([name for name in self.kind.by_model if name in self.widgets])
            chosen = f"(name) => {{ window.likeness.chooseModel({json.dumps(self.kind.method)}, name, {own}); }}"
            self.widgets["model"].input(js=chosen, inputs=[self.widgets["model"]], **glue)

    def _script(self, verb: str, values: bool = True) -> str:
        """A JavaScript function that hands the widgets' values to `window.likeness`."""
        names = json.dumps(list(self.widgets))
        call = f"window.likeness.{verb}({json.dumps(self.kind.method)}, {names}{', values' if values else ''})"
        return f"async (...values) => {{ await window.likenessReady; return {call}; }}"


def _wished(kind: type[Request]) -> dict[str, Any]:
    """What the model that stands in a fresh form would like of this method."""
    model = kind.model_fields.get("model")
    return wishes(entry(model.default), kind.method) if model else {}


def widget(name: str, row: dict[str, Any], models: Sequence[Choice], **changes: Any) -> gr.components.Component:
    """The widget of one setting.

    Args:
        name: the field; its element id is "setting-<name>".
        row: one entry of `Request.settings()`.
        models: (label, name) pairs for a field of the kind "model".
    """
    unit = f" ({row['unit']})" if row.get("unit") and row["unit"] != row["label"] else ""
    common = {"label": row["label"] + unit, "info": row.get("help") or None, "value": row.get("default"), "elem_classes": [f"lk-{name}"]}
    return _MAKERS[_kind_of(row)](row, models, common | changes)


def _kind_of(row: dict[str, Any]) -> str:
    """Which widget shows a setting: what it asks for, else what its type and limits suggest."""
    if row.get("widget"):
        return row["widget"]
    if row.get("choices"):
        return "choice"
    if row.get("type") == "boolean":
        return "switch"
    if row.get("type") in ("integer", "number"):
        return "slider" if row.get("slider") else "number"
    return "text"


def _step(row: dict[str, Any]) -> float:
    return row.get("step") or (1 if row.get("type") == "integer" else 0.01)


def _slider(row: dict[str, Any], models: Sequence[Choice], common: dict[str, Any]) -> gr.Slider:
    low, high = row["slider"]
    return gr.Slider(**{"minimum": low, "maximum": high, "step": _step(row), "buttons": []} | common)


def _number(row: dict[str, Any], models: Sequence[Choice], common: dict[str, Any]) -> gr.Number:
    """Without limits of its own: a value out of range gets the request's sentence instead of being changed silently."""
    return gr.Number(**{"precision": 0 if row.get("type") == "integer" else None, "step": _step(row)} | common)


def _text(row: dict[str, Any], models: Sequence[Choice], common: dict[str, Any]) -> gr.Textbox:
    return gr.Textbox(**common)


def _textarea(row: dict[str, Any], models: Sequence[Choice], common: dict[str, Any]) -> gr.Textbox:
    return gr.Textbox(**{"lines": 3, "max_lines": 8} | common)


def _choice(row: dict[str, Any], models: Sequence[Choice], common: dict[str, Any]) -> gr.Dropdown:
    """Values as words: "key-value" reads "Key value"."""
    choices = [(str(value).replace("-", " ").capitalize(), value) for value in row["choices"]]
    return gr.Dropdown(**{"choices": choices, "filterable": False} | common)


def _model(row: dict[str, Any], models: Sequence[Choice], common: dict[str, Any]) -> gr.Dropdown:
    return gr.Dropdown(**{"choices": list(models), "filterable": False} | common)


def _offered(row: dict[str, Any], models: Sequence[Choice], common: dict[str, Any]) -> gr.Dropdown:
    """What there is to choose from comes with the place, as `choices`."""
    return gr.Dropdown(**{"filterable": False} | common)


def _switch(row: dict[str, Any], models: Sequence[Choice], common: dict[str, Any]) -> gr.Checkbox:
    return gr.Checkbox(**common)


_MAKERS = {
    "text": _text,
    "subject": _text,
    "lora": _text,
    "textarea": _textarea,
    "model": _model,
    "adapter": _offered,
    "pack": _offered,
    "seed": _number,
    "size": _number,
    "number": _number,
    "slider": _slider,
    "choice": _choice,
    "switch": _switch,
}
