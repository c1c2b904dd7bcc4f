"""The base of all requests: one pydantic model from which form, command line, API and file metadata come.

A field made with `setting(...)` carries its label, unit, range, default and help. Requests are versioned and
tolerant: a field that an old file lacks takes its default, a field that this version does not know is kept.
"""

from __future__ import annotations

import json
import secrets
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.errors import UserError

MAX_SEED = 2**31 - 1
MAX_PROMPT = 2000


def setting(
    default: Any,
    *,
    label: str,
    help: str = "",
    unit: str = "",
    advanced: bool = False,
    widget: str = "",
    choices: list[Any] | None = None,
    step: float | None = None,
    slider: tuple[float, float] | None = None,
    **limits: Any,
) -> Any:
    """A request field with all that a form needs.

    Args:
        label, help, unit: words for a person; `unit` stands behind the label.
        advanced: shown only when asked for.
        widget: "text", "textarea", "model", "seed", "size", "lora" or "" (chosen from the type).
        choices: closed list of values.
        step: spacing of valid values in a slider.
        slider: the range a slider shows, narrower than the limits that are enforced.
        limits: pydantic's own (ge, le, min_length, max_length).
    """
    extra = {
        "label": label,
        "unit": unit,
        "advanced": advanced,
        "widget": widget,
        "choices": choices,
        "step": step,
        "slider": slider,
    }
    return Field(default, description=help, json_schema_extra=extra, **limits)


class Request(BaseModel):
    """What a panel collects. Subclasses set `method` and add fields; making one registers it by that name.

    Attributes:
        method: what people call it; `package` is where below `pipelines.methods` it lives.
        by_model: fields whose default is the model's (`ModelEntry.defaults`, `wishes`).
    """

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)
    method: ClassVar[str] = ""
    package: ClassVar[str] = ""
    by_model: ClassVar[tuple[str, ...]] = ("width", "height", "frames", "fps", "steps", "guidance")
    version: ClassVar[int] = 1
    kinds: ClassVar[dict[str, type[Request]]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if cls.method:
            Request.kinds[cls.method] = cls

    @classmethod
    def settings(cls) -> dict[str, dict[str, Any]]:
        """Name -> label, unit, help, default and limits of each field made with `setting`, in order."""
        rows = {}
        for name, schema in cls.model_json_schema()["properties"].items():
            if "label" in schema:
                rows[name] = schema | {"help": schema.get("description", "")}
        return rows

    @classmethod
    def read(cls, values: dict[str, Any]) -> Self:
        """Validate plain values; raises UserError naming the first field that does not fit."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise UserError(_sentence(cls, error)) from error

    def to_json(self) -> str:
        """The request as it travels in files: method, version and every field, known or not."""
        return json.dumps({"method": self.method, "version": self.version, "request": self.model_dump(mode="json")})

    @staticmethod
    def from_json(text: str) -> Request:
        """The inverse of `to_json`; raises UserError for text that is no request of ours."""
        try:
            data = json.loads(text)
            kind = Request.kinds[data["method"]]
            values = dict(data["request"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError("This file carries no Likeness settings, so there is nothing to restore from it.") from error
        return kind.read(values)


class VideoRequest(Request):
    """What every request that makes a clip has."""

    model: str = setting("playground-wan", label="Model", widget="model", help="The video model that draws the clip.", max_length=200)
    prompt: str = setting("", label="Prompt", widget="textarea", help="What the clip should show.", max_length=MAX_PROMPT)
    negative_prompt: str = setting(
        "", label="Negative prompt", widget="text", advanced=True, help="What the clip should not show.", max_length=MAX_PROMPT
    )
    seed: int = setting(-1, label="Seed", widget="seed", help="The same seed gives the same clip; -1 draws a new one.", ge=-1, le=MAX_SEED)
    width: int = setting(64, label="Width", unit="px", widget="size", help="Snapped to what the model can draw.", ge=16, le=2048, step=16)
    height: int = setting(64, label="Height", unit="px", widget="size", help="Snapped to what the model can draw.", ge=16, le=2048, step=16)
    frames: int = setting(17, label="Frames", help="Length of the clip; snapped to 4k + 1.", ge=1, le=257, slider=(1, 49), step=4)
    fps: int = setting(8, label="Frames per second", unit="fps", advanced=True, help="Playback speed of the file.", ge=1, le=60)
    steps: int = setting(20, label="Steps", help="More steps take longer and draw more carefully.", ge=1, le=200, slider=(1, 60))
    guidance: float = setting(
        4.0, label="Guidance", help="How strongly the prompt steers; 1 switches guidance off.", ge=1, le=30, step=0.1, slider=(1, 15)
    )
    lora: str = setting(
        "", label="LoRA", widget="lora", advanced=True, help="A file of weights of your own, made for this model.", max_length=400
    )
    lora_strength: float = setting(
        1.0, label="LoRA strength", advanced=True, help="How much of it comes in; 0: nothing.", ge=0, le=2, step=0.05, slider=(0, 2)
    )

    def with_seed(self) -> Self:
        """The same request with -1 replaced by a freshly drawn seed."""
        return self if self.seed >= 0 else self.model_copy(update={"seed": secrets.randbelow(MAX_SEED)})


def _sentence(cls: type[Request], error: ValidationError) -> str:
    """One sentence for the first thing that pydantic objects to."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    field = cls.model_fields.get(name)
    extra = (field.json_schema_extra if field else None) or {}
    label = extra.get("label", name) if isinstance(extra, dict) else name
    limits = {
        "greater_than_equal": "must be {ge} or more",
        "less_than_equal": "must be {le} or less",
        "string_too_long": "must have {max_length} characters or fewer",
        "string_too_short": "must have {min_length} characters or more",
    }
    rule = limits.get(first["type"])
    what = rule.format(**first["ctx"]) if rule else f"cannot be {str(first['input'])[:40]!r} ({first['msg'].lower()})"
    return f"{label} {what}."
