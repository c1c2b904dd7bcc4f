"""Interrupts that are not lost.

An interrupt is raised wherever Python is at that moment. Inside of a destructor or a callback of native code it is printed and
forgotten, and the run would go on; so it is also remembered, for whoever comes by next.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_came = threading.Event()


def _interrupt(number: int, frame: FrameType | None) -> None:
    _came.set()
    raise KeyboardInterrupt


def heed() -> None:
    """Raise KeyboardInterrupt if one has come and got lost."""
    if _came.is_set():
        raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, being told to terminate is an interrupt like any other, so that everything is cleaned up; in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _came.clear()
    before = {number: signal.signal(number, _interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _came.clear()
