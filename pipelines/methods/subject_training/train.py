"""Dual-task training of an adapter that knows subjects from one picture (section 3.5): each step is about pictures or about clips."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from peft import LoraConfig, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer

from pipelines.backbones.adapters import lora, lora_weights, trainable
from pipelines.events import Event, Preview
from pipelines.methods.subject_training.conflict import Recent, flat
from pipelines.methods.subject_training.examples import Source
from pipelines.methods.subject_training.losses import IdentityLoss, Tasks
from pipelines.methods.subject_training.monitor import Monitor
from pipelines.methods.subject_training.recipe import TASKS, Recipe, Task, rank_for, rate_for
from pipelines.methods.zero_shot_subject.card import Card
from pipelines.methods.zero_shot_subject.weights import lora_config, save_adapter
from pipelines.training.base import frozen
from pipelines.training.loop import Loop
from pipelines.training.team import Team

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

CHECKPOINT, ADAPTER, RECORD = "training.pt", "adapter.safetensors", "training.json"
NAME = "subjects"

Draw = Callable[[int], np.ndarray | None]
"""Step -> (T, H, W, 3) uint8 drawn with what has been learnt so far."""


def config_for(backbone: Backbone, recipe: Recipe) -> LoraConfig:
    """Of the adapter: rank, alpha of half of it, dropout and layers (appendix A.1)."""
    return lora_config(recipe.rank or rank_for(backbone.blocks()[0].width("output")), dropout=recipe.dropout)


def train(
    backbone: Backbone, source: Source, folder: Path, recipe: Recipe, *, base: str = "", work: Path | None = None,
    sample: Draw = lambda step: None, identity: IdentityLoss | None = None,
) -> Iterator[Event]:  # fmt: skip
    """Train an adapter on `source` and keep it in `folder`; goes on where an earlier training of the same `work` ended.

    Yields Progress and Previews: "loss", "loss images", "loss clips", "phi", "norm images", "norm clips", "sample". Closing the
    iterator stops and keeps what was learnt. The base model is untouched, whatever happens.

    Args:
        base: name of the model in the registry, for the adapter's card.
        work: folder of the checkpoint; None: `folder`.
        sample: called every `recipe.sample_every` steps.
        identity: a direct identity loss, as far as the recipe gives it weight.
    """
    config, empty = config_for(backbone, recipe), backbone.encode_text([""])
    with ExitStack() as stack:
        stack.enter_context(frozen(backbone.transformer, recipe.checkpointing))
        with torch.random.fork_rng():  # the adapter's first weights are drawn from the global generator
            torch.manual_seed(recipe.seed)
            stack.enter_context(lora(backbone, config, name=NAME))
        for layer in backbone.transformer.modules():
            if isinstance(layer, LoraLayer):
                layer.lora_dropout.train()
        for parameter in trainable(backbone):
            parameter.data = parameter.data.float()  # what a step adds would be lost in half precision
        training = Training(
            backbone, config, Tasks(backbone, recipe, empty, identity), source, Places(folder, work or folder, base), recipe, sample
        )
        yield from stack.enter_context(closing(training.run()))


class Places(NamedTuple):
    """Folder of the adapter, folder of the checkpoint, and the model's name."""

    folder: Path
    work: Path
    base: str


class Training:
    """The loop, with the adapter on the model already."""

    def __init__(
        self, backbone: Backbone, config: LoraConfig, tasks: Tasks, source: Source, places: Places, recipe: Recipe, sample: Draw
    ) -> None:
        self.backbone, self.config, self.source, self.recipe, self.sample = backbone, config, source, recipe, sample
        self.folder, self.base = places.folder, places.base
        self.parameters = trainable(backbone)
        self.peak = recipe.rate or rate_for(backbone.blocks()[0].width("output"))
        self.team = Team(backbone.device)
        self.accelerator = self.team.accelerator
        optimiser = torch.optim.AdamW(self.parameters, lr=self.peak, betas=recipe.betas, weight_decay=recipe.weight_decay)
        self.tasks, self.optimiser = self.accelerator.prepare(tasks, optimiser)
        self.monitor = Monitor(tasks, source.held_out(recipe.monitored), recipe.seed)
        self.recent = Recent(recipe.surgery, recipe.p)
        self.course = Course(recipe.loss_every)
        self.events: deque[Event] = deque()
        parts = {"adapter": Adapter(backbone), "optimiser": self.optimiser}
        parts |= {"course": self.course, "monitor": self.monitor, "recent": self.recent}
        self.loop = Loop(places.work / CHECKPOINT, parts, recipe.budget, recipe.loss_every, team=self.team)

    def run(self) -> Iterator[Event]:
        """Train until the budget is used; saves on the way and at the end, also when closed."""
        with closing(self.loop.run(self.update, "training", saved=self._keep, sample=self._sample)) as events:
            for event in events:
                yield event
                while self.events:
                    yield self.events.popleft()

    @torch.enable_grad()
    def update(self, step: int, progress: float) -> float:
        """One step; what is drawn comes from the seed and the step's number, so that it repeats after an interruption."""
        recipe, draw = self.recipe, np.random.default_rng((188, self.recipe.seed, step))
        self._look(step)
        began = time.perf_counter()
        task = recipe.task(float(draw.uniform()), progress)
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.rate_at(self.peak, step, progress)
        self.optimiser.zero_grad()
        loss = self._backward(task, step, recipe.likeness if progress < recipe.likeness_until else 0.0)
        if recipe.surgery:
            self._operate(task)
        self.accelerator.clip_grad_norm_(self.parameters, recipe.longest)
        self.optimiser.step()
        self.events.extend(self.course.add(task, loss, step, time.perf_counter() - began))
        return loss

    def _backward(self, task: Task, step: int, likeness: float) -> float:
        """Gradients of a step, some examples at a time; the mean loss."""
        many, at_once = self.recipe.sizes(task)
        processes, own = self.accelerator.num_processes, self.accelerator.process_index
        rounds = max(1, round(many / (at_once * processes)))
        total = 0.0
        for turn in range(rounds):
            number = self.course.numbers[task] * processes + own
            self.course.numbers[task] += 1
            batch = (self.source.pairs if task == "images" else self.source.clips)(self.recipe.seed, number, min(at_once, many))
            together = nullcontext() if turn == rounds - 1 else self.accelerator.no_sync(self.tasks)
            with torch.random.fork_rng(), together:
                torch.manual_seed(int(np.random.default_rng((189, self.recipe.seed, step, turn, own)).integers(2**62)))
                draw = np.random.default_rng((190, self.recipe.seed, step, turn, own))
                loss = self.tasks(batch, draw, self.recipe.view_drop, likeness) / rounds
                self.accelerator.backward(loss)
            total += loss.item()
        return total

    def _operate(self, task: Task) -> None:
        """Put the direction of buffered PCGrad in the place of the gradients."""
        direction = self.recent.direction(task, flat(one.grad for one in self.parameters))
        for one, part in zip(self.parameters, direction.split([one.numel() for one in self.parameters]), strict=True):
            one.grad.copy_(part.view_as(one))

    def _look(self, step: int) -> None:
        if self.recipe.monitor_every and step % self.recipe.monitor_every == 0:
            self.monitor.measure(step)
            self.events.extend(self.monitor.previews())

    def _keep(self) -> None:
        """Write the adapter in half precision with all settings, how long steps take, and what the monitor has found."""
        trained = {"steps": self.loop.step, "minutes": round(self.loop.seconds / 60, 1), "device": self.backbone.device}
        card = Card(base=self.base, recipe=self.recipe.plain() | trained)
        weights = {name: value.half() for name, value in lora_weights(self.backbone, NAME).items()}
        save_adapter(self.folder / ADAPTER, self.config, weights, card)
        text = json.dumps({"recipe": card.recipe, "pace": self.course.pace, "gradients": self.monitor.rows}, indent=1)
        (self.folder / RECORD).write_text(text + "\n", "utf-8")

    def _sample(self, step: int) -> np.ndarray | None:
        return self.sample(step) if self.recipe.sample_every and step % self.recipe.sample_every == 0 else None


class Course:
    """What has been trained on, and how it went: batches drawn of each task, and a curve of each task's losses.

    Args:
        every: steps of a task averaged into one value.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.numbers: dict[Task, int] = dict.fromkeys(TASKS, 0)
        self.curves: dict[Task, list[float]] = {task: [] for task in TASKS}
        self.recent: dict[Task, list[float]] = {task: [] for task in TASKS}
        self.taken: dict[Task, list[float]] = {task: [0, 0.0] for task in TASKS}

    @property
    def pace(self) -> dict[Task, float]:
        """Seconds of a step of each task, as measured so far; see `cost.seconds_for`."""
        return {task: seconds / steps for task, (steps, seconds) in self.taken.items() if steps}

    def add(self, task: Task, loss: float, step: int, seconds: float) -> Iterator[Preview]:
        """Take down the loss of a step and how long it took; gives the task's curve when there is a new value."""
        self.taken[task] = [self.taken[task][0] + 1, self.taken[task][1] + seconds]
        self.recent[task].append(loss)
        if len(self.recent[task]) < self.every:
            return iter(())
        self.curves[task].append(float(np.mean(self.recent[task])))
        self.recent[task].clear()
        return iter([Preview("curve", f"loss {task}", step, np.array(self.curves[task]))])

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        return {"numbers": self.numbers, "curves": self.curves, "recent": self.recent, "taken": self.taken}

    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        for name in self.state_dict():
            setattr(self, name, dict(values[name]))


class Adapter:
    """The adapter's weights as a part of a checkpoint."""

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Weights by peft's names."""
        return lora_weights(self.backbone, NAME)

    def load_state_dict(self, values: Mapping[str, torch.Tensor]) -> None:
        """The inverse of `state_dict`."""
        set_peft_model_state_dict(self.backbone.transformer, dict(values), adapter_name=NAME)
