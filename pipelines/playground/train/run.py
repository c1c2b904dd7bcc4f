"""The loop under every training: budget, learning rate, checkpoint each minute, loss log, time left."""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pipelines.playground.train.curve import draw_losses


@dataclass(frozen=True)
class Budget:
    """How long to train: `steps` if given (repeatable to the step), else `minutes` of running time.

    A checkpoint is written every `save_every` seconds, a row of the log every `say_every` steps.
    """

    minutes: float
    steps: int | None = None
    save_every: float = 50.0
    say_every: int = 25

    @staticmethod
    def of(flags: argparse.Namespace) -> Budget:
        """From the recipe's flags."""
        return Budget(flags.minutes, flags.steps, flags.save_every, flags.say_every)

    def part(self, share: float) -> Budget:
        """A share of it, for one of several phases."""
        return replace(self, minutes=self.minutes * share, steps=max(1, round(self.steps * share)) if self.steps else None)

    def progress(self, step: int, seconds: float) -> float:
        """Share done, 0..1."""
        return min(1.0, step / self.steps if self.steps else seconds / (60 * self.minutes))


def warm_then_cosine(progress: float, step: int, *, peak: float, warm_steps: int = 60, floor: float = 0.02) -> float:
    """Linear warm-up over the first steps, then a cosine from `peak` to `floor` x peak at progress 1."""
    decay = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
    return peak * decay * min(1.0, (step + 1) / warm_steps)


class Run:
    """One phase of a training in a folder: what it holds survives a kill at any moment with a minute's loss at most.

    Args:
        folder: where `<name>.pt` and `log.jsonl` are kept.
        name: of the phase.
        state: things with `state_dict` and `load_state_dict`, saved and restored together.
        budget: when to stop.
        seed: base of the per-step seeds; step k draws the same numbers however often the run was interrupted.
    """

    def __init__(self, folder: Path, name: str, state: Mapping[str, Any], budget: Budget, seed: int = 0, resume: bool = True) -> None:
        self.folder, self.name, self.state, self.budget, self.seed = folder, name, state, budget, seed
        self.step, self.seconds = 0, 0.0
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / f"{name}.pt"
        if resume and self.file.exists():
            self._load()

    @property
    def progress(self) -> float:
        """Share of the budget used, 0..1."""
        return self.budget.progress(self.step, self.seconds)

    def loop(self, update: Callable[[int, float], float]) -> None:
        """Call `update(step, progress) -> loss` until the budget is used; save, log, print and draw the loss on the way."""
        began, saved, before = time.monotonic(), time.monotonic(), self.seconds
        losses: list[float] = []
        while self.progress < 1:
            torch.manual_seed(self.seed * 1_000_003 + self.step)
            losses.append(update(self.step, self.progress))
            self.step += 1
            self.seconds = before + time.monotonic() - began
            if self.step % self.budget.say_every == 0:
                self._say(losses)
                losses = []
            if time.monotonic() - saved > self.budget.save_every:
                self.save()
                draw_losses(self.folder)
                saved = time.monotonic()
        self.save()
        draw_losses(self.folder)

    def save(self) -> None:
        """Write the checkpoint atomically."""
        values = {key: part.state_dict() for key, part in self.state.items()}
        partial = self.file.with_suffix(".tmp")
        torch.save(values | {"_step": self.step, "_seconds": self.seconds}, partial)
        os.replace(partial, self.file)

    def _load(self) -> None:
        values = torch.load(self.file, weights_only=True, map_location="cpu")
        self.step, self.seconds = values["_step"], values["_seconds"]
        for key, part in self.state.items():
            part.load_state_dict(values[key])

    def _say(self, losses: list[float]) -> None:
        loss = sum(losses) / len(losses)
        left = self.seconds / max(self.progress, 1e-6) * (1 - self.progress)
        row = {"phase": self.name, "step": self.step, "loss": round(loss, 5), "seconds": round(self.seconds, 1)}
        with open(self.folder / "log.jsonl", "a") as log:
            log.write(json.dumps(row) + "\n")
        print(f"{self.name} step {self.step} loss {loss:.4f} {self.seconds / 60:.1f} min, {left / 60:.1f} min left", flush=True)


class Average(torch.nn.Module):
    """Exponential moving average of a module's weights, with the usual warm-up of the decay."""

    def __init__(self, module: torch.nn.Module, decay: float = 0.999) -> None:
        super().__init__()
        self.decay, self.steps = decay, 0
        self.weights = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: torch.nn.Module) -> None:
        """Move towards the module's present weights."""
        self.steps += 1
        rate = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value.detach().to(self.weights[name].dtype), rate)
            else:  # of batches seen, which a normalisation counts
                self.weights[name].copy_(value)

    def state_dict(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Weights by name, and the number of updates."""
        return {"weights": self.weights, "steps": self.steps}

    def load_state_dict(self, values: Mapping[str, Any], *_: Any, **__: Any) -> None:
        """The inverse of `state_dict`."""
        self.weights, self.steps = {name: value.clone() for name, value in values["weights"].items()}, values["steps"]


def descend(loss: torch.Tensor, model: torch.nn.Module, optimiser: torch.optim.Optimizer, average: Average, limit: float = 1.0) -> float:
    """One update of `model` against `loss`, its gradient shortened to `limit`, and of the average; the loss as a number."""
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), limit)
    optimiser.step()
    average.update(model)
    return loss.item()
