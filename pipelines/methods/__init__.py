"""The methods by name. Importing this package imports no torch; a method's code comes in when it is first run."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from pipelines.methods.generate.request import GenerateRequest

if TYPE_CHECKING:
    from pipelines.events import Event
    from pipelines.models.store import ModelStore
    from pipelines.requests import Request

REQUESTS = {kind.method: kind for kind in (GenerateRequest,)}


def run(request: Request, store: ModelStore) -> Iterator[Event]:
    """Run whichever method `request` belongs to. Closing the iterator cancels it."""
    return import_module(f"pipelines.methods.{request.method.replace('-', '_')}.run").run(request, store)
