"""Multi-DC LoRA: one adapter for many dynamic concepts, appearance and motion with a factor in common (Grid composition, section 3.1).

W' = W + A1 B1 + A1 B2: A1 (m x r) is on the output side, what peft calls lora_B. It is two ordinary LoRAs, and is kept as such.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipelines.errors import UserError
from pipelines.methods.grid.names import DROPOUT, RANK, TARGETS

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

Stage = Literal["set", "sequence"]
"""Of the training: unordered single frames learn A1 and B1, then whole clips B2 alone."""

DOWN, UP = ".lora_A.weight", ".lora_B.weight"


class SharedFactor(nn.Module):
    """A1 (B1 + B2) beside one linear layer; without effect until it is trained.

    Args:
        inputs, outputs: features of the layer.
    """

    def __init__(self, inputs: int, outputs: int, rank: int, dropout: float) -> None:
        super().__init__()
        self.A1 = nn.Parameter(torch.zeros(outputs, rank))
        self.B1 = nn.Parameter(torch.empty(rank, inputs))
        self.B2 = nn.Parameter(torch.zeros(rank, inputs))
        self.dropout = nn.Dropout(dropout)
        nn.init.kaiming_uniform_(self.B1, a=math.sqrt(5))  # as peft begins

    def forward(self, x: Tensor) -> Tensor:
        """(..., outputs) that comes to what the layer says of (..., inputs)."""
        B = (self.B1 + self.B2).to(x.dtype)
        return F.linear(F.linear(self.dropout(x), B), self.A1.to(x.dtype))


class DynamicConcepts(nn.Module):
    """The adapter: a `SharedFactor` for each layer.

    Args:
        sizes: path of the layer in the transformer -> (inputs, outputs).
    """

    def __init__(self, sizes: Mapping[str, tuple[int, int]], rank: int = RANK, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.rank = rank
        self.layers = nn.ModuleDict({path.replace(".", "/"): SharedFactor(*size, rank, dropout) for path, size in sizes.items()})

    def items(self) -> Iterator[tuple[str, SharedFactor]]:
        """Path of the layer -> its factors."""
        return ((name.replace("/", "."), layer) for name, layer in self.layers.items())

    def train_stage(self, stage: Stage) -> list[nn.Parameter]:
        """Make the factors of `stage` trainable and the others not; gives them."""
        for layer in self.layers.values():
            layer.A1.requires_grad_(stage == "set")
            layer.B1.requires_grad_(stage == "set")
            layer.B2.requires_grad_(stage == "sequence")
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def loras(self) -> dict[str, dict[str, Tensor]]:
        """As two ordinary LoRAs of alpha = rank: "appearance" and "motion" -> peft's names -> values; their sum is this adapter."""
        both: dict[str, dict[str, Tensor]] = {"appearance": {}, "motion": {}}
        for path, layer in self.items():
            for name, B in (("appearance", layer.B1), ("motion", layer.B2)):
                both[name] |= {f"{path}{DOWN}": B.detach().cpu().clone(), f"{path}{UP}": layer.A1.detach().cpu().clone()}
        return both


def fresh_concepts(backbone: Backbone, rank: int = RANK, dropout: float = DROPOUT, targets: Sequence[str] = TARGETS) -> DynamicConcepts:
    """An adapter for `backbone` that does nothing yet."""
    return DynamicConcepts(layer_sizes(backbone.transformer, targets), rank, dropout).to(backbone.device)


def concepts_of(weights: Mapping[str, Tensor], title: str) -> DynamicConcepts:
    """The adapter from both of its LoRAs, names behind "appearance." and "motion."; UserError where they share no factor."""
    parts = {name: {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")} for name in PARTS}
    first, second = parts.values()
    paths = [key.removesuffix(UP) for key in first if key.endswith(UP)]
    if not paths or first.keys() != second.keys() or any(not torch.equal(first[f"{path}{UP}"], second[f"{path}{UP}"]) for path in paths):
        raise UserError(f"{title} does not hold dynamic concepts: appearance and motion have no factor in common; export it again.")
    ranks = {first[f"{path}{UP}"].shape[1] for path in paths}
    if len(ranks) > 1 or any(first[f"{path}{DOWN}"].shape != second[f"{path}{DOWN}"].shape for path in paths):
        raise UserError(f"{title} is not of one rank: export it again.")
    sizes = {path: (first[f"{path}{DOWN}"].shape[1], first[f"{path}{UP}"].shape[0]) for path in paths}
    adapter = DynamicConcepts(sizes, ranks.pop(), 0.0)
    with torch.no_grad():
        for path, layer in adapter.items():
            for own, value in ((layer.A1, first[f"{path}{UP}"]), (layer.B1, first[f"{path}{DOWN}"]), (layer.B2, second[f"{path}{DOWN}"])):
                own.copy_(value)
    return adapter.eval().requires_grad_(False)


PARTS = ("appearance", "motion")


def layer_sizes(transformer: nn.Module, targets: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Path -> (inputs, outputs) of the linear layers of the transformer's blocks whose names end in one of `targets`."""
    ends = tuple(f".{target}" for target in targets)
    named = ((path, module) for path, module in transformer.named_modules() if path.startswith("blocks.") and path.endswith(ends))
    return {path: (module.in_features, module.out_features) for path, module in named if hasattr(module, "in_features")}


@contextmanager
def with_concepts(backbone: Backbone, adapter: DynamicConcepts, strength: float = 1.0) -> Iterator[None]:
    """Within, the transformer has the adapter; with strength 0 it is left alone.

    Raises UserError for an adapter that does not fit.
    """
    modules = dict(backbone.transformer.named_modules())
    sizes = {path: getattr(modules.get(path), "in_features", None) for path, _ in adapter.items()}
    if any(size != layer.B1.shape[1] for size, (_, layer) in zip(sizes.values(), adapter.items(), strict=True)):
        raise UserError("The dynamic concepts were learnt by another model: choose the model that they belong to.")
    adapter.to(backbone.device)
    with ExitStack() as stack:
        for path, layer in adapter.items() if strength else ():
            handle = modules[path].register_forward_hook(_adding(layer, strength))
            stack.callback(handle.remove)
        yield


def _adding(layer: SharedFactor, strength: float):
    """A hook that adds what `layer` says of the input."""

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + strength * layer(inputs[0])

    return hook
