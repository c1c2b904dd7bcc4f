"""Who is next: a fair order between visitors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from studio.jobs.job import Entry


class Turns:
    """Remembers who was served, so that visitors take turns: start-time fair queueing with every job of the same size.

    A job's turn is that of its owner's last one plus one, but never before the present: nobody saves turns up by waiting.
    Within a turn, and among one visitor's own jobs, the rank decides. (Goyal, Vin, Cheng, SIGCOMM 1996, section 2.)
    """

    def __init__(self) -> None:
        self._now = 0
        self._next: dict[str, int] = {}

    def started(self, owner: str) -> None:
        """A job of this visitor has been taken."""
        self._now = self._turn(owner)
        self._next[owner] = self._now + 1
        self._next = {name: turn for name, turn in self._next.items() if turn > self._now}

    def order(self, entries: Iterable[Entry]) -> list[Entry]:
        """The queued entries in the order in which they will run."""
        queued = sorted((e for e in entries if e.job.state == "queued" and e.deleted is None), key=lambda e: e.rank)
        before: Counter[str] = Counter()
        turns = {}
        for entry in queued:
            turns[entry.job.id] = self._turn(entry.owner) + before[entry.owner]
            before[entry.owner] += 1
        return sorted(queued, key=lambda e: (turns[e.job.id], e.rank))

    def _turn(self, owner: str) -> int:
        return max(self._now, self._next.get(owner, 0))


def moved(ranks: dict[str, float], job_id: str, position: int) -> dict[str, float]:
    """One visitor's waiting jobs (id -> rank) with `job_id` at `position` (0 = first, clamped to what is there).

    The ranks themselves are only dealt out anew, so nobody else's job changes its place by more than these.
    """
    order = sorted(ranks, key=ranks.__getitem__)
    order.remove(job_id)
    order.insert(max(position, 0), job_id)
    return dict(zip(order, sorted(ranks.values()), strict=True))
