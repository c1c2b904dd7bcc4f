"""The real studio in a process of its own, and the Chromium that looks at it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

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


@dataclass(frozen=True)
class Running:
    """A studio that answers.

    Attributes:
        connections: file with every address that the process has asked for.
        home: its data folder.
        start_seconds: from the start of the process to the first answer.
    """

    address: str
    connections: Path
    home: Path
    start_seconds: float


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_page(address: str, process: subprocess.Popen, seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).read()
            return
        except OSError:
            assert process.poll() is None, "the studio ended before its page was there"
            assert time.monotonic() < deadline, "the page is still not there"
            time.sleep(0.2)


@contextmanager
def running_studio(folder: Path, script: str = "watched.py") -> Iterator[Running]:
    """Starts app.py by way of `script` with its data under `folder`, waits for its page, and ends it."""
    port = free_port()
    words = [sys.executable, ROOT / "tests/browser" / script, folder / "connections", "--port", port, "--home", folder / "home"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(word) for word in words], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    began = time.monotonic()
    try:
        wait_for_page(address, process)
        yield Running(address, folder / "connections", folder / "home", time.monotonic() - began)
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Headless Chromium with a fresh profile."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "the browser tests drive Chromium: install it (Debian: apt-get install chromium)"
    with sync_playwright() as playwright:  # makes a fresh profile folder for each launch
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()
