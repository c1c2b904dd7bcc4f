"""Trainings of the Grid LoRA (consistent and composition) and of Grid-Fill on a frozen base (Grid composition, sections 3.2 and 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from peft import set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from pipelines.backbones.adapters import lora, lora_weights, trainable
from pipelines.events import Event
from pipelines.methods.grid.card import Card
from pipelines.methods.grid.layout import Layout
from pipelines.methods.grid.mask import Route, routed, routes_of, sight
from pipelines.methods.grid.names import FILES
from pipelines.methods.grid.queries import CellQueries, fresh_queries, shares_of, with_queries
from pipelines.methods.grid.text import joined
from pipelines.methods.grid.weights import ordinary, save_queries
from pipelines.methods.grid_training.examples import Grids, Source, draw_grids
from pipelines.methods.grid_training.losses import drop_words, fill_loss, noise_like
from pipelines.methods.grid_training.recipe import Recipe
from pipelines.methods.zero_shot_subject.weights import save_adapter
from pipelines.playground.train.precision import mixed
from pipelines.playground.train.run import warm_then_cosine
from pipelines.training.base import draw_level, frozen
from pipelines.training.loop import Loop

if TYPE_CHECKING:
    from peft import LoraConfig

    from pipelines.backbones.base import Backbone

NAME = "grid-training"
FIRST, SECOND = 0, 1
"""Cells of the concepts A and B in a composition."""

Draw = Callable[[int], np.ndarray | None]
"""Step -> (T, H, W, 3) uint8 drawn with what has been learnt so far."""


def checkpoint_of(recipe: Recipe) -> str:
    """Name of the file that a training goes on from."""
    return f"training-{recipe.kind}.pt"


def train(
    backbone: Backbone, source: Source, folder: Path, recipe: Recipe, *, base: str = "", work: Path | None = None,
    sample: Draw = lambda step: None,
) -> Iterator[Event]:  # fmt: skip
    """Train an adapter of `recipe.kind` on `source` and keep it in `folder`; goes on where a training of the same `work` ended.

    Yields Progress, Preview "loss" and Preview "sample". Closing the iterator stops and keeps what was learnt. The base model is
    untouched, whatever happens.

    Args:
        base: name of the model in the registry, for the adapter's card.
        work: folder of the checkpoint; None: `folder`.
        sample: called every `recipe.sample_every` steps.
    """
    make = _queries if recipe.kind == "composition" else _lora
    with frozen(backbone.transformer, recipe.checkpointing), make(backbone, recipe) as adapter:
        training = Training(backbone, adapter, source, folder, recipe, base, work or folder, sample)
        with closing(training.run()) as events:
            yield from events


class Lora:
    """The ordinary LoRA that is on the model, as something to train."""

    def __init__(self, backbone: Backbone, config: LoraConfig) -> None:
        self.backbone, self.config = backbone, config

    def parameters(self) -> list[nn.Parameter]:
        """What is trained."""
        return trainable(self.backbone)

    def state_dict(self) -> dict[str, Tensor]:
        """Weights by peft's names."""
        return lora_weights(self.backbone, NAME)

    def load_state_dict(self, values: Mapping[str, Tensor]) -> None:
        """The inverse of `state_dict`."""
        set_peft_model_state_dict(self.backbone.transformer, dict(values), adapter_name=NAME)

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Within, the adapter drops out."""
        layers = [layer for layer in self.backbone.transformer.modules() if isinstance(layer, LoraLayer)]
        try:
            for layer in layers:
                layer.lora_dropout.train()
            yield
        finally:
            for layer in layers:
                layer.lora_dropout.eval()

    def save(self, file: Path, card: Card) -> None:
        """Write the adapter in half precision."""
        save_adapter(file, self.config, {name: value.bfloat16() for name, value in self.state_dict().items()}, card)


class Queries:
    """The queries of the cells of a composition, as something to train."""

    def __init__(self, adapter: CellQueries) -> None:
        self.adapter = adapter
        self.parameters, self.state_dict, self.load_state_dict = adapter.parameters, adapter.state_dict, adapter.load_state_dict

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Within, the adapter drops out."""
        self.adapter.train()
        try:
            yield
        finally:
            self.adapter.eval()

    def save(self, file: Path, card: Card) -> None:
        """Write the adapter."""
        save_queries(self.adapter, file, card)


@contextmanager
def _lora(backbone: Backbone, recipe: Recipe) -> Iterator[Lora]:
    """A new LoRA on the model for a while."""
    config = ordinary(backbone, recipe.rank, recipe.layers, recipe.dropout)
    with ExitStack() as stack:
        with torch.random.fork_rng():  # the adapter's first weights are drawn from the global generator
            torch.manual_seed(recipe.seed)
            stack.enter_context(lora(backbone, config, name=NAME))
        for parameter in trainable(backbone):
            parameter.data = parameter.data.float()  # what a step adds would be lost in half precision
        yield Lora(backbone, config)


@contextmanager
def _queries(backbone: Backbone, recipe: Recipe) -> Iterator[Queries]:
    """New queries of cells; they come on the model step by step, because they depend on the grid's size."""
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        yield Queries(fresh_queries(backbone, recipe.rank, recipe.dropout, recipe.layers))


class Training:
    """The loop."""

    def __init__(
        self, backbone: Backbone, adapter: Lora | Queries, source: Source, folder: Path, recipe: Recipe, base: str, work: Path, sample: Draw
    ) -> None:
        self.backbone, self.adapter, self.source, self.recipe, self.sample = backbone, adapter, source, recipe, sample
        self.folder, self.base, self.layout = folder, base, Layout.read(recipe.layout)
        self.empty = backbone.encode_text([""])[0]
        scheduler = backbone.pipeline.scheduler.config
        self.shift = recipe.shift if recipe.shift is not None else scheduler.get("flow_shift", None) or scheduler.get("shift", None) or 1.0
        self.parameters = list(adapter.parameters())
        self.optimiser = torch.optim.AdamW(self.parameters, lr=recipe.rate, betas=recipe.betas, weight_decay=recipe.weight_decay)
        parts = {"adapter": adapter, "optimiser": self.optimiser}
        self.loop = Loop(work / checkpoint_of(recipe), parts, recipe.budget, recipe.loss_every)

    def run(self) -> Iterator[Event]:
        """Train until the budget is used; saves on the way and at the end, also when closed."""
        with closing(self.loop.run(self.update, "training", saved=self._keep, sample=self._sample)) as events:
            yield from events

    @torch.enable_grad()
    def update(self, step: int, progress: float) -> float:
        """One step; what is drawn comes from the seed and the step's number, so that it repeats after an interruption."""
        recipe, draw = self.recipe, np.random.default_rng((203, self.recipe.seed, step))
        for group in self.optimiser.param_groups:
            group["lr"] = warm_then_cosine(progress, step, peak=recipe.rate, warm_steps=recipe.warm_steps, floor=recipe.floor)
        grids = draw_grids(self.source, draw, recipe, recipe.length(float(draw.uniform()), progress))
        self.optimiser.zero_grad()
        with torch.random.fork_rng(), self.adapter.learning():
            torch.manual_seed(int(draw.integers(2**62)))
            loss = self.loss(grids, draw)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, recipe.longest)
        self.optimiser.step()
        return loss.item()

    def loss(self, grids: Grids, draw: np.random.Generator) -> Tensor:
        """(): of a batch, with levels, noise and left-out words drawn from `draw`."""
        backbone, recipe = self.backbone, self.recipe
        clean, cover, missing, words = (part.to(backbone.device) for part in (grids.clean, grids.cover, grids.missing, grids.words))
        words = drop_words(words, self.empty.float(), draw, recipe.token_drop, recipe.no_text).to(backbone.dtype)
        sigma = torch.tensor([draw_level(draw, self.shift) for _ in clean], device=backbone.device)
        noise = noise_like(clean, draw, recipe.noise_scale)
        with self._edited(grids), mixed(backbone.device):
            return fill_loss(backbone, clean, missing, cover, noise, sigma, words.flatten(1, 2))

    @contextmanager
    def _edited(self, grids: Grids) -> Iterator[None]:
        """Within, cells attend to what they may, and their queries are their own in a composition."""
        backbone, tokens = self.backbone, self.layout.tokens(*self.backbone.tokens(grids.clean).grid)
        with ExitStack() as stack:
            stack.enter_context(routed(backbone, self._routes(grids, tokens)))
            if isinstance(self.adapter, Queries):
                stack.enter_context(with_queries(backbone, self.adapter.adapter, shares_of(tokens, FIRST, SECOND)))
            yield

    def _routes(self, grids: Grids, tokens: list[np.ndarray]) -> list[Route]:
        composed = dict.fromkeys(range(2, self.layout.count), (FIRST, SECOND)) if self.recipe.kind == "composition" else {}
        text = joined(grids.words[0], self.empty, grids.shared)
        return routes_of(text, tokens, sight(composed, self.layout.count, self.recipe.routed), self.backbone.device)

    def _keep(self) -> None:
        """Write the adapter with all settings and how long it was trained."""
        recipe = self.recipe
        trained: dict[str, Any] = {"steps": self.loop.step, "minutes": round(self.loop.seconds / 60, 1), "device": self.backbone.device}
        card = Card(kind=recipe.kind, base=self.base, structured=recipe.routed, recipe=recipe.plain() | trained)
        self.adapter.save(self.folder / FILES[recipe.kind], card)

    def _sample(self, step: int) -> np.ndarray | None:
        return self.sample(step) if self.recipe.sample_every and step % self.recipe.sample_every == 0 else None
