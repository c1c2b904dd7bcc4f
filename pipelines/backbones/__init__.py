"""Backbones: one small set of verbs over each family of video models. Importing this package imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.models.store import ModelStore, data_home

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

FAMILIES = {
    "wan": ("wan", "WanBackbone"),
    "cogvideox": ("cogvideox", "CogVideoXBackbone"),
    "ltx": ("ltx", "LTXBackbone"),
    "animatediff": ("animatediff", "AnimateDiffBackbone"),
}
"""Family -> module of this package and the class in it."""


def open_store(home: Path | None = None, device: str = "auto", placement: str = "auto") -> ModelStore:
    """A model store that can load every family we have a backbone for. `home`: data folder, None for the user's own."""
    home = home or data_home()
    return ModelStore({family: loader(family, home) for family in FAMILIES}, home=home, device=device, placement=placement)


def loader(family: str, home: Path | None = None) -> Callable[[Path, str, str], Backbone]:
    """A function (folder, device, placement) -> backbone; the family's code is imported when it is first called.

    Args:
        home: data folder in which preview colours that were learnt are kept; None keeps them in memory only.
    """
    module, name = FAMILIES[family]

    def load(folder: Path, device: str, placement: str) -> Backbone:
        kind = getattr(import_module(f"pipelines.backbones.{module}"), name)
        return kind.load(folder, device, placement, home)

    return load
