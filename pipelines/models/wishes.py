"""Defaults of single methods that depend on the model: found on the training split for the embedded ones, else the papers'."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.models.registry import ModelEntry

Wish = dict[str, int | float | str | bool]

_QUERIES: Wish = {"first_layer": 0.0, "last_layer": 1.0, "recorded": "every level"}

_LOOKS_COME_LATE: Wish = {
    "masks": "preview", "masks_every": 2, "share_until": 350.0, "refine_until": 410.0, "refine_strength": 1.0,
}  # fmt: skip

WISHES: dict[str, dict[str, Wish]] = {
    "transfer-motion": {
        "wan": {"strength": 0.6, "first_layer": 0.5, "last_layer": 0.75, "recorded": "one level", "level": 100.0},
        "cogvideox": {"strength": 0.6, "first_layer": 0.25, "last_layer": 0.75, "recorded": "one level", "level": 300.0},
        "ltx": _QUERIES | {"strength": 0.4, "same_noise": True, "match_values": True},
        "animatediff": _QUERIES | {"strength": 0.4, "clean_up": True},
        "playground-wan": _QUERIES | {"strength": 0.4},
    },
    "storyboard": dict.fromkeys(("playground-wan", "playground-cogvideox"), _LOOKS_COME_LATE),
    "face": {
        "wan": {"adapter": "", "pack": "buffalo_l", "watch_every": 0},
        "wan2.1-14b": {"adapter": "lynx-full", "pack": "buffalo_l", "watch_every": 0},
        "playground-wan": {"width": 96, "height": 96, "guidance": 1.5, "id_guidance": 3.0},
    },
    "subject-from-image": {"cogvideox-5b": {"adapter": "disentangled-subject"}, "playground-cogvideox": {"guidance": 1.2}},
    "grid": {
        "wan": {"adapter": "", "strength": 0.0},
        "playground-wan": {"width": 128, "height": 128, "guidance": 1.5, "upsampler": "playground-upsampler"},
    },
    "train-face": {"wan": {"crop": 256, "recogniser": "facexlib-ir-se50", "pack": "buffalo_l"}, "playground-wan": {"tokens": 1280}},
}
"""Method -> model, or its family -> settings (Motion by Queries, appendix A.1 and A.1.1; CogVideoX is not among its models)."""


def wishes(model: ModelEntry, method: str) -> Wish:
    """Settings of `method` that `model` would like when the user has not chosen."""
    table = WISHES.get(method, {})
    return table.get(model.name, table.get(model.family, {}))
