"""The loop under a training that is a generator: budget, checkpoint, loss curve, time left."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pipelines.events import Event, Preview, Progress
from pipelines.playground.train.run import Budget

if TYPE_CHECKING:
    from pipelines.training.team import Team

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
        team: the processes that train together; None: this one alone.
        step, seconds, losses: so far.
    """

    file: Path
    parts: Mapping[str, Any]
    budget: Budget
    loss_every: int = 10
    team: Team | None = None
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
    ) -> Iterator[Event]:
        """Call `update(step, progress) -> loss` until the budget is used; saves on the way and at the end, also when closed.

        Processes that share weights save together or not at all: when one of them is closed the others are somewhere else.

        Yields Progress, Preview "loss" and, where `sample(step)` gives frames, Preview "sample".

        Args:
            phase: what is being done, for a person.
            saved: called with every checkpoint, before it is written; where weights are shared, by every process.
        """
        began, written, before, first = time.perf_counter(), time.perf_counter(), self.seconds, self.step
        ended = False
        yield self._said(phase, first, 0.0)
        try:
            while True:
                progress, due = self._agreed((self.progress, time.perf_counter() - written > SAVE_EVERY))
                if progress >= 1:
                    break
                if due:
                    self._save(saved)
                    written = time.perf_counter()
                self.recent.append(update(self.step, progress))
                self.step += 1
                self.seconds = before + time.perf_counter() - began
                if self.step % self.loss_every == 0:
                    self.losses.append(float(np.mean(self.recent)))
                    self.recent.clear()
                    yield Preview("curve", "loss", self.step, np.array(self.losses))
                if (frames := sample(self.step)) is not None:
                    yield Preview("frames", "sample", self.step, frames)
                yield self._said(phase, first, time.perf_counter() - began)
            ended = True
        finally:
            if ended or not (self.team and self.team.sharded):
                self._save(saved)

    def _agreed(self, value: tuple[float, bool]) -> tuple[float, bool]:
        return self.team.agree(value) if self.team else value

    def _said(self, phase: str, first: int, spent: float) -> Progress:
        total = self.budget.steps or 0
        if not total:
            return Progress(phase, self.step, 0, max(0.0, 60 * self.budget.minutes - self.seconds))
        return Progress(phase, self.step, total, spent / (self.step - first) * (total - self.step) if self.step > first else None)

    def _save(self, saved: Callable[[], None]) -> None:
        writes = self.team is None or self.team.first
        if not (writes or self.team.sharded):
            return
        saved()
        values = {name: part.state_dict() for name, part in self.parts.items()}
        if not writes:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
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
