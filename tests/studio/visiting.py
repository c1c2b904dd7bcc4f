"""A visitor of some routes, as the page's own script asks."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.testclient import TestClient

from studio.visitors import VisitorMiddleware

OURS = {"X-Likeness": "1"}
STORE = SimpleNamespace(folder=lambda model: None)
"""Nothing has been downloaded."""


def visitor(routes: Sequence[BaseRoute]) -> TestClient:
    """A new visitor of these routes."""
    client = TestClient(Starlette(routes=routes, middleware=[Middleware(VisitorMiddleware)]))
    client.get("/")  # the first answer brings the visitor cookie
    return client
