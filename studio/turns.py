"""One thing at a time for each visitor, and few at once for all: what the page asks to be drawn must not hold up everything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pipelines.errors import UserError

AT_ONCE = 2
MOST_WAITING = 8
BUSY = "The studio is still busy with your clips: try again in a moment."


@dataclass
class _Line:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Turns:
    """Waiting costs no thread; whoever has too much waiting is refused."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._few = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def of(self, owner: str) -> AsyncIterator[None]:
        """Held while something of the owner's is done; raises UserError when MOST_WAITING wait for it already."""
        line = self._lines.setdefault(owner, _Line())
        if line.waiting >= MOST_WAITING:
            raise UserError(BUSY)
        line.waiting += 1
        try:
            async with line.lock, self._few:
                yield
        finally:
            line.waiting -= 1
            if not line.waiting:
                self._lines.pop(owner, None)
