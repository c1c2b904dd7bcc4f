"""The loop under a training that is a generator: budget, checkpoint, loss curve, time left."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.events import Event, Preview, Progress
from pipelines.playground.train.run import Budget

SAVE_EVERY = 45.0
"""Seconds between checkpoints."""


@dataclass
class Loop:
    """What a training holds and how far it is; what is in `file` already is gone on from.

    Attributes:
        file: the checkpoint, written whole or not at all.
        parts: things with `state_dict` and `load_state_dict`, saved and restored together.
        budget: when to stop. With a number of steps a training that was interrupted repeats the numbers of one that was not.
        loss_every: steps averaged into one value of the curve.
        alone: whether this process writes; of several that train together one does.
        step, seconds, losses: so far.
    """

    file: Path
    parts: Mapping[str, Any]
    budget: Budget
    loss_every: int = 10
    alone: bool = True
    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    recent: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.file.exists():
            self._load()

    @property
    def progress(self) -> float:
        """Share of the budget used, 0..1."""
        return self.budget.progress(self.step, self.seconds)

    def run(
        self,
        update: Callable[[int, float], float],
        phase: str,
        *,
        saved: Callable[[], None] = lambda: None,
        sample: Callable[[int], np.ndarray | None] = lambda step: None,
        agreed: Callable[[float], float] = lambda progress: progress,
    ) -> Iterator[Event]:
        """Call `update(step, progress) -> loss` until the budget is used; saves on the way and at the end, also when closed.

        Yields Progress, Preview "loss" and, where `sample(step)` gives frames, Preview "sample".

        Args:
            phase: what is being done, for a person.
            saved: called with every checkpoint, before it is written.
            agreed: of several processes that train together, what one of them thinks of the progress.
        """
        began, written, before, first = time.perf_counter(), time.perf_counter(), self.seconds, self.step
        yield self._said(phase, first, 0.0)
        try:
            while (progress := agreed(self.progress)) < 1:
                self.recent.append(update(self.step, progress))
                self.step += 1
                self.seconds = before + time.perf_counter() - began
                if self.step % self.loss_every == 0:
                    self.losses.append(float(np.mean(self.recent)))
                    self.recent.clear()
                    yield Preview("curve", "loss", self.step, np.array(self.losses))
                if (frames := sample(self.step)) is not None:
                    yield Preview("frames", "sample", self.step, frames)
                if time.perf_counter() - written > SAVE_EVERY:
                    self._save(saved)
                    written = time.perf_counter()
                yield self._said(phase, first, time.perf_counter() - began)
        finally:
            self._save(saved)

    def _said(self, phase: str, first: int, spent: float) -> Progress:
        total = self.budget.steps or 0
        if not total:
            return Progress(phase, self.step, 0, max(0.0, 60 * self.budget.minutes - self.seconds))
        return Progress(phase, self.step, total, spent / (self.step - first) * (total - self.step) if self.step > first else None)

    def _save(self, saved: Callable[[], None]) -> None:
        if not self.alone:
            return
        saved()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        values = {name: part.state_dict() for name, part in self.parts.items()}
        values |= {"_step": self.step, "_seconds": self.seconds, "_losses": self.losses, "_recent": self.recent}
        partial = self.file.with_suffix(".tmp")
        torch.save(values, partial)
        os.replace(partial, self.file)

    def _load(self) -> None:
        values = torch.load(self.file, weights_only=True, map_location="cpu")
        self.step, self.seconds = values["_step"], values["_seconds"]
        self.losses, self.recent = list(values["_losses"]), list(values["_recent"])
        for name, part in self.parts.items():
            part.load_state_dict(values[name])
