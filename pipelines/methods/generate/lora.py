"""The user's own LoRA around the events of any drawing. Without one nothing is imported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipelines.events import Event
from pipelines.files import Files
from pipelines.requests import VideoRequest

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

NAME = "own"


class OwnLora(NamedTuple):
    """A file that was looked at, and how strongly it shall count: 1 as it was trained."""

    file: Path
    strength: float


def find_lora(request: VideoRequest, files: Files) -> OwnLora | None:
    """The LoRA that `request` names, None if it names none; raises UserError for a file that is not there or is none."""
    if not request.lora.strip():
        return None
    from pipelines.backbones.lora_files import check_lora

    file = files.find(request.lora)
    check_lora(file)
    return OwnLora(file, request.lora_strength)


def with_lora(backbone: Backbone, own: OwnLora | None, events: Iterator[Event]) -> Iterator[Event]:
    """`events`, all of which happen with the LoRA on the transformer; it is gone when they end, however they do.

    Raises UserError naming the file for a LoRA that does not fit the model.
    """
    if own is None:
        yield from events
        return
    from pipelines.backbones.adapters import fused, lora, read_lora

    config, weights = read_lora(own.file, type(backbone.pipeline))
    with lora(backbone, config, weights, NAME, own.strength, own.file.name), fused(backbone), closing(events):
        yield from events
