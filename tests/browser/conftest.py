"""The studio and the browser, once for the whole folder.

Every page is watched: a request to anything but loopback, or an error in the page's scripts, fails the test that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page
from running import Running, running_chromium, running_studio

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_studio(tmp_path_factory.mktemp("studio")) as studio:
        yield studio


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def visit(studio: Running, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens the studio as a new visitor; keyword arguments are the browser context's (viewport, color_scheme, ...)."""
    contexts, complaints = [], []

    def opener(**options) -> Page:
        context = chromium.new_context(**{"viewport": {"width": 1440, "height": 900}} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("request", lambda request: complaints.append(f"asked {request.url}") if outside(request.url) else None)
        page.on("pageerror", lambda error: complaints.append(f"script error: {error}"))
        page.goto(studio.address)
        page.wait_for_selector("likeness-stage[data-state]")
        page.wait_for_selector(".lk-estimate:not([hidden])")
        return page

    yield opener
    for context in contexts:
        context.close()
    assert not complaints, complaints


def outside(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in ("data", "blob") and parts.hostname not in LOOPBACK
