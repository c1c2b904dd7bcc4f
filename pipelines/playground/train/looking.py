"""Training of the judge's attribute heads: a network that finds the subject and looks at it from near."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from pipelines.playground.looking import OF_THE_SCENE, Looking
from pipelines.playground.train.augment import augment
from pipelines.playground.train.optimise import MuonAndAdamW
from pipelines.playground.train.run import Average, Budget, Run, descend, warm_then_cosine
from pipelines.playground.train.stills import FAMILY, WorldStills
from pipelines.playground.train.targets import Targets, sameness

PEAK = 1.5e-3
GOING_ON = 0.5
"""Share of that rate for heads that have been trained before."""

LED_UNTIL = 0.3
"""Share of the training in which it is led to the subject; later it looks where it finds it itself."""

LOOSE = 0.12
"""How far the view from near is off in training, see `look_near`."""

WEIGHTS = {"mask": 2.0, "scene": 0.5, "subject": 1.0, "same": 0.5}
"""Of the losses; those of attributes are sums over them divided by their number's square root."""


def train_looking(
    stills: WorldStills, names: dict[str, list[str]], folder: Path, budget: Budget, device: str, *, batch: int = 32,
    start: Path | None = None, resume: bool = True, seed: int = 0,
) -> Looking:  # fmt: skip
    """The network with averaged weights, in evaluation mode. `batch` pictures a step, whole families.

    `start` is the folder of a finished judge to go on from.
    """
    torch.manual_seed(seed)
    targets, model = Targets(stills, names), Looking(names).to(device)
    for name, buffer in model.named_buffers():
        if name.endswith("num_batches_tracked"):
            buffer.data = buffer.float()  # so that all of the state can be averaged
    if start:
        model.load_state_dict({name: value.float() for name, value in load_file(start / "heads.safetensors").items()})
    average, optimiser = Average(model, decay=0.998), MuonAndAdamW(model, PEAK, weight_decay=0.02)
    run = Run(folder, "looking", {"model": model, "average": average, "optimiser": optimiser}, budget, seed, resume)

    def update(step: int, progress: float) -> float:
        optimiser.set_rate(warm_then_cosine(progress, step, peak=PEAK * (GOING_ON if start else 1)))
        indices, pictures = stills.draw(np.random.default_rng((seed, step)), max(1, batch // FAMILY))
        values = augment(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255, near=0.25).to(device)
        parts = losses(model, values, targets, torch.from_numpy(indices), progress < LED_UNTIL and not start)
        return descend(sum(WEIGHTS[name] * loss for name, loss in parts.items()), model, optimiser, average, limit=5.0)

    run.loop(update)
    model.load_state_dict(average.weights)
    return model.cpu().eval()


def losses(model: Looking, values: torch.Tensor, targets: Targets, indices: torch.Tensor, led: bool) -> dict[str, torch.Tensor]:
    """Each loss of a batch of pictures with masks (B, 5, S, S) in 0..1."""
    truth = F.avg_pool2d(values[:, 3], 2)
    told = model(values[:, :3] * 2 - 1, truth if led else None, LOOSE)
    device = values.device
    scene = {name: targets.labels[name][indices].to(device) for name in OF_THE_SCENE if name in targets.labels}
    subject = {name: places[indices].to(device) for name, places in targets.near.items()}
    return {
        "mask": F.binary_cross_entropy_with_logits(told["mask"], truth),
        "scene": naming(told, scene),
        "subject": naming(told, subject),
        "same": sameness(told["same"], targets.groups[indices].to(device)),
    }


def naming(told: dict[str, torch.Tensor], labels: dict[str, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of each attribute over the pictures that have it, summed and divided by the root of their number."""
    each = [F.cross_entropy(told[name], wanted, ignore_index=-1) for name, wanted in labels.items() if (wanted >= 0).any()]
    return torch.stack(each).sum() / len(each) ** 0.5 if each else next(iter(told.values())).sum() * 0
