"""Who is next: a fair order between visitors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from studio.jobs.job import Entry


def fair_order(entries: Iterable[Entry]) -> list[Entry]:
    """The waiting jobs in the order in which they will run.

    Visitors take turns: everybody's first job comes before anybody's second. A running job counts as its owner's turn.
    Within a turn, and among one visitor's own jobs, the rank decides.
    """
    entries = [entry for entry in entries if entry.deleted is None]
    turns = Counter(entry.owner for entry in entries if entry.job.state == "running")
    keys = []
    for entry in sorted((e for e in entries if e.job.state == "queued"), key=lambda e: e.rank):
        keys.append((turns[entry.owner], entry.rank, entry))
        turns[entry.owner] += 1
    return [entry for *_, entry in sorted(keys, key=lambda key: key[:2])]


def moved(ranks: dict[str, float], job_id: str, position: int) -> dict[str, float]:
    """One visitor's waiting jobs (id -> rank) with `job_id` at `position` (0 = first, clamped to what is there).

    The ranks themselves are only dealt out anew, so nobody else's job changes its place by more than these.
    """
    order = sorted(ranks, key=ranks.__getitem__)
    order.remove(job_id)
    order.insert(max(position, 0), job_id)
    return dict(zip(order, sorted(ranks.values()), strict=True))
