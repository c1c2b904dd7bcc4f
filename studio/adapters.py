"""The adapters on this machine, by the method that draws with them: what visitors can choose beside what they trained themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipelines.errors import UserError
from pipelines.methods.face_identity import adapters as faces
from pipelines.methods.face_identity.request import FaceRequest
from pipelines.methods.grid import adapters as grids
from pipelines.methods.grid.request import GridRequest
from pipelines.methods.zero_shot_subject import adapters as subjects
from pipelines.methods.zero_shot_subject.request import SubjectRequest
from pipelines.models.adapters import AdapterEntry
from pipelines.models.registry import entry
from pipelines.models.wishes import wishes

KNOWN = {FaceRequest.method: faces, SubjectRequest.method: subjects, GridRequest.method: grids}
"""Method -> the module that lists its adapters."""

TOLD = ("name", "title", "description", "licence", "base")


def adapters_here(method: str) -> tuple[AdapterEntry, ...]:
    """Those of a method that lie on this machine."""
    return tuple(adapter for adapter in KNOWN[method].adapters() if adapter.here)


def usable_adapter(method: str, name: str) -> AdapterEntry:
    """The adapter of that name; raises UserError for one that is not here, and for a path."""
    found = next((adapter for adapter in adapters_here(method) if adapter.name == name), None)
    if found is None:
        raise UserError("This adapter is not on this machine: choose another one.")
    return found


def told(method: str) -> list[dict[str, Any]]:
    """Those of a method as the page reads them."""
    return [{name: getattr(one, name) for name in TOLD} for one in adapters_here(method)]


def fitting(method: str, models: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the (label, name) pairs whose model an adapter on this machine was made for."""
    bases = {adapter.base for adapter in adapters_here(method)}
    return [choice for choice in models if choice[1] in bases]


def fresh(method: str) -> dict[str, Any]:
    """What a fresh form holds: the first adapter, the model that it was made for, and what that would like."""
    adapter = adapters_here(method)[0]
    model = entry(adapter.base)
    return model.defaults() | wishes(model, method) | {"adapter": adapter.name, "model": model.name}
