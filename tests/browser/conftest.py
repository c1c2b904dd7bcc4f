"""The real studio in a process of its own, and headless Chromium that looks at it.

Every page is watched: a request to anything but loopback, or an error in the page's scripts, fails the test that made it.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class Running:
    """A studio that answers."""

    address: str
    connections: Path
    home: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_page(address: str, process: subprocess.Popen, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).read()
            return
        except OSError:
            assert process.poll() is None, "the studio ended before its page was there"
            assert time.monotonic() < deadline, "the page is still not there"
            time.sleep(0.2)


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("studio")
    port = free_port()
    words = [sys.executable, ROOT / "tests/browser/watched.py", folder / "connections", "--port", port, "--home", folder / "home"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(word) for word in words], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for_page(address, process)
        yield Running(address, folder / "connections", folder / "home")
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "the browser tests drive Chromium: install it (Debian: apt-get install chromium)"
    with sync_playwright() as playwright:  # makes a fresh profile folder for each launch
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(studio: Running, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens the studio as a new visitor; keyword arguments are the browser context's (viewport, color_scheme, ...)."""
    contexts, complaints = [], []

    def opener(**options) -> Page:
        context = chromium.new_context(**{"viewport": {"width": 1440, "height": 900}} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
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
