"""One thread that runs jobs in order, below the web server's priority."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

from pipelines.errors import UserError
from pipelines.events import Event, Result
from pipelines.requests import Request
from studio.jobs.desk import Desk
from studio.jobs.job import Entry, request_of
from studio.jobs.sentences import NO_RESULT, sentence

NICENESS = 5  # the page answers in milliseconds beside it; at 10 a busy browser on the same machine would starve the run
log = logging.getLogger("likeness.jobs")
Run = Callable[[Request, str], Iterator[Event]]
"""What runs a request for its owner."""


class Worker(threading.Thread):
    """Runs `run` on the desk's jobs one after another until the desk sends it home.

    A daemon: a process that ends without `Jobs.stop` does not wait for a long step, and the job counts as interrupted.
    """

    def __init__(self, desk: Desk, run: Run, name: str = "jobs") -> None:
        super().__init__(name=name, daemon=True)
        self.desk = desk
        self.run_request = run

    def run(self) -> None:
        lower_priority()
        while (entry := self.desk.take()) is not None:
            self._work(entry)

    def _work(self, entry: Entry) -> None:
        """One job from start to end; nothing that happens in it reaches the next one."""
        try:
            result = self._follow(entry)
            if result is not None:
                self.desk.finished(entry, result)
            return
        except BaseException as error:  # even a SystemExit out of a method must not end the queue
            message = sentence(error, entry.job.id[:6])
        gc.collect()  # the traceback held what the failed run had allocated
        if entry.wanted:
            self.desk.failed(entry, message)
        else:
            self.desk.given_up(entry)

    def _follow(self, entry: Entry) -> Result | None:
        """The result, with the generator closed; None if nobody wanted it to the end."""
        request = request_of(entry.job)
        with closing(self.run_request(request, entry.owner)) as events:
            for event in events:
                if not entry.wanted:
                    break
                if isinstance(event, Result):
                    return event
                self.desk.heard(entry, event)
        if entry.wanted:
            raise UserError(NO_RESULT)
        self.desk.given_up(entry)
        return None


def lower_priority() -> None:
    """Let the page's threads go first. Niceness is per thread on Linux, and threads that this one starts inherit it."""
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    try:
        os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
    except OSError as error:
        log.info("the worker keeps its priority: %s", error)
