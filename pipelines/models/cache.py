"""A byte-budgeted cache of loaded models: the least recently used one goes first, one in use never."""

from __future__ import annotations

import gc
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Key = tuple[str, str, str]  # folder, device, placement


@dataclass
class Slot:
    """A cached model: the memory it lies in ("cpu" or a card), its bytes, and how many are using it now."""

    value: Any
    memory: str
    bytes: int
    users: int = 0


class ModelCache:
    """Loaded models by key. Every method may be called from any thread.

    Args:
        budget: bytes that models may take together in a memory ("cpu", "cuda"), as a function of its name.
    """

    def __init__(self, budget: Callable[[str], int]) -> None:
        self._budget = budget
        self._slots: OrderedDict[Key, Slot] = OrderedDict()  # least recently used first
        self._lock = threading.RLock()

    def find(self, matches: Callable[[Key], bool], use: bool = False) -> tuple[Key, Any] | None:
        """The most recent model whose key matches, now the most recently used; with `use`, pinned until `release`."""
        with self._lock:
            key = next((key for key in reversed(self._slots) if matches(key)), None)
            if key is None:
                return None
            self._slots.move_to_end(key)
            self._slots[key].users += use
            return key, self._slots[key].value

    def put(self, key: Key, value: Any, memory: str, size: int, use: bool = False) -> None:
        """Keep `value`, evicting others so that the budget of `memory` holds; with `use`, pinned until `release`."""
        with self._lock:
            self._slots[key] = Slot(value, memory, size, int(use))
            self._slots.move_to_end(key)
            self._trim(memory, 0, spare=key)

    def release(self, key: Key) -> None:
        """One user less."""
        with self._lock:
            if key in self._slots:
                self._slots[key].users -= 1
                self._trim(self._slots[key].memory, 0, spare=key)

    def make_room(self, memory: str, size: int) -> None:
        """Evict idle models until `size` more bytes fit into the budget of `memory`, or none is left to evict."""
        with self._lock:
            evicted = self._trim(memory, size)
        if evicted:
            collect()

    def evict(self, matches: Callable[[Key], bool]) -> tuple[int, int]:
        """Drop the idle models whose key matches; returns how many went and how many stayed because they are in use."""
        with self._lock:
            found = [key for key in self._slots if matches(key)]
            idle = [key for key in found if not self._slots[key].users]
            for key in idle:
                del self._slots[key]
        if idle:
            collect()
        return len(idle), len(found) - len(idle)

    def bytes(self, memory: str, idle_only: bool = False) -> int:
        """Bytes of the models in `memory`."""
        with self._lock:
            slots = [slot for slot in self._slots.values() if slot.memory == memory]
            return sum(slot.bytes for slot in slots if not (idle_only and slot.users))

    def loaded(self) -> list[Key]:
        """Loaded models, least recently used first."""
        with self._lock:
            return list(self._slots)

    def _trim(self, memory: str, size: int, spare: Key | None = None) -> int:
        """Evict until `size` more bytes fit; returns how many went."""
        budget, evicted = self._budget(memory), 0
        for key, slot in list(self._slots.items()):
            if self.bytes(memory) + size <= budget:
                break
            if slot.memory == memory and not slot.users and key != spare:
                del self._slots[key]
                evicted += 1
        return evicted


def collect() -> None:
    """Give freed memory back to the device."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
