"""An endless walk over data of any length in seeded order, which can begin anywhere and holds little of it in memory."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, TypeVar

import numpy as np

from pipelines.errors import UserError

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

BLOCK = 1024
"""Entries that are shuffled among each other."""

MOST_COUNTED = 100_000
MOST_BAD = 200
"""Entries in a row that may be useless before something must be wrong with all of them."""


class LeftOut:
    """What could not be used, counted by reason; the same thing twice counts once."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self._seen: set[int] = set()

    def add(self, reason: str, name: str) -> None:
        """One more, called `name`."""
        mark = hash((reason, name))
        if mark in self._seen or len(self._seen) >= MOST_COUNTED:
            return
        self._seen.add(mark)
        self.reasons[reason] += 1
        if reason not in self.examples:
            self.examples[reason] = "".join(letter for letter in name if letter.isprintable())[:120]
            log.warning("left out: %s (%s)", reason, self.examples[reason])

    def notes(self) -> tuple[str, ...]:
        """A sentence for each reason, the most frequent first."""
        return tuple(
            f"{number} {'example was' if number == 1 else 'examples were'} left out: {reason}, such as {self.examples[reason]}."
            for reason, number in self.reasons.most_common()
        )


class Walk(Generic[T]):
    """Entries of a listing, shuffled block by block, epoch after epoch. Entry n depends on n and the seed alone.

    Going on from entry n reads over those before it, without opening what they stand for.

    Args:
        listing: begins the listing anew; entries are small: what they stand for is opened when it is needed.
        seed: of the order.
        first: entries at the beginning that are passed over.
    """

    def __init__(self, listing: Callable[[], Iterator[T]], seed: int, first: int = 0, block: int = BLOCK) -> None:
        self.listing, self.seed, self.first, self.block = listing, seed, first, block
        self.total: int | None = None
        self._rest: Iterator[T] = iter(())
        self._next, self._held, self._entries = -1, -1, []  # blocks: the next of `_rest`, the one that is held

    def at(self, number: int) -> T:
        """Entry `number`, 0.. Raises UserError where there are none."""
        while True:
            epoch, place = divmod(number, self.total) if self.total else (0, number)
            block, within = divmod(place, self.block)
            if not self._reach(block) or within >= len(self._entries):
                continue  # now the total is known
            order = np.random.default_rng((191, self.seed, epoch, block)).permutation(len(self._entries))
            return self._entries[int(order[within])]

    def _reach(self, block: int) -> bool:
        """Hold this block; False if the listing ends before it."""
        if block == self._held:
            return True
        if block < self._next or self._next < 0:
            self._rest, self._next = islice(self.listing(), self.first, None), 0
        while self._next <= block:
            self._entries = list(islice(self._rest, self.block))
            self._held, self._next = self._next, self._next + 1
            if len(self._entries) < self.block:
                self.total = self._held * self.block + len(self._entries)
                if not self.total:
                    raise UserError("There is nothing to learn from: choose a folder that holds pairs or clips.")
                if self._held < block:
                    return False
        return True


def usable(walk: Walk[T], number: int, use: Callable[[T], R], left_out: LeftOut) -> R:
    """What `use` makes of entry `number`, or of the first after it of which it makes something: it raises UserError for others."""
    for place in range(number, number + MOST_BAD):
        try:
            return use(walk.at(place))
        except UserError as error:
            if walk.total == 0:
                raise
            left_out.add("it cannot be read", str(error).rstrip("."))
            last = error
    raise UserError(f"Of {MOST_BAD} examples in a row none can be used: check the data. {last}")
