"""A look at both tasks' gradients now and then, always on the same held-out examples (appendix B.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from peft.tuners.lora import LoraLayer
from torch import nn

from pipelines.events import Preview
from pipelines.methods.subject_training.conflict import flat, groups_of, phi
from pipelines.methods.subject_training.examples import Clips, Pairs
from pipelines.methods.subject_training.losses import Tasks

Row = dict[str, float]
"""step; phi and norms of the gradients of both tasks over all parameters; "phi, group" for each group of layers."""


class Monitor:
    """Measures now and then and remembers what it found.

    Args:
        tasks: of the model.
        held_out: a batch of each task.
        seed: of levels and noise, which are the same each time.
    """

    def __init__(self, tasks: Tasks, held_out: tuple[Pairs, Clips], seed: int) -> None:
        self.tasks, self.held_out, self.seed = tasks, held_out, seed
        self.rows: list[Row] = []

    def measure(self, step: int) -> Row:
        """Gradients of both losses at the present weights, without dropout and view drop; the weights' own are left alone."""
        names, parameters = zip(*((name, one) for name, one in self.tasks.named_parameters() if one.requires_grad), strict=True)
        with without_dropout(self.tasks), torch.enable_grad():
            losses = [self.tasks(batch, np.random.default_rng((187, self.seed, task)), 0.0) for task, batch in enumerate(self.held_out)]
            g_img, g_vid = (flat(torch.autograd.grad(loss, parameters, materialize_grads=True, allow_unused=True)) for loss in losses)
        row = {"step": step, "phi": phi(g_img, g_vid), "norm images": float(g_img.norm()), "norm clips": float(g_vid.norm())}
        row |= {"loss images": losses[0].item(), "loss clips": losses[1].item()}
        places = groups_of(names, [one.numel() for one in parameters])
        row |= {f"phi, {group}": phi(g_img[part], g_vid[part]) for group, part in places.items()}
        self.rows.append(row)
        return row

    def previews(self) -> Iterator[Preview]:
        """Curves of phi and both norms over all measurements."""
        for name in ("phi", "norm images", "norm clips") if self.rows else ():
            yield Preview("curve", name, int(self.rows[-1]["step"]), np.array([row[name] for row in self.rows]))

    def state_dict(self) -> dict[str, Any]:
        """What was found."""
        return {"rows": self.rows}

    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.rows = list(values["rows"])


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Within, no adapter drops anything."""
    dropouts = [part for layer in model.modules() if isinstance(layer, LoraLayer) for part in layer.lora_dropout.values() if part.training]
    try:
        for part in dropouts:
            part.eval()
        yield
    finally:
        for part in dropouts:
            part.train()
