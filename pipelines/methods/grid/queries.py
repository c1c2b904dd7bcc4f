"""Grid LoRA in composition mode: each cell's queries have an adapter of their own (Grid composition, section 3.2, eq. 1 to 3).

q_A = (Wq + dWq_A) x, q_B = (Wq + dWq_B) x, and for the outputs q_Out = (Wq + (dWq_A + dWq_B) / 2) x. With dWq_A = dWq_B, the
consistent mode, this is an ordinary LoRA of the queries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipelines.errors import UserError
from pipelines.methods.grid.dynamic import DOWN, UP, layer_sizes
from pipelines.methods.grid.names import DROPOUT, QUERIES, RANK

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

OWNERS = ("a", "b")


class LowRank(nn.Module):
    """dW of one linear layer as up @ down; without effect until it is trained."""

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        super().__init__()
        self.down, self.up = nn.Parameter(torch.empty(rank, inputs)), nn.Parameter(torch.zeros(outputs, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """dW x of (..., inputs)."""
        return F.linear(F.linear(x, self.down.to(x.dtype)), self.up.to(x.dtype))


class CellQueries(nn.Module):
    """The adapter: dWq_A and dWq_B of each layer.

    Args:
        sizes: path of the layer in the transformer -> (inputs, outputs).
    """

    def __init__(self, sizes: Mapping[str, tuple[int, int]], rank: int = RANK, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.rank, self.dropout = rank, nn.Dropout(dropout)
        self.layers = nn.ModuleDict(
            {path.replace(".", "/"): nn.ModuleDict({owner: LowRank(*size, rank) for owner in OWNERS}) for path, size in sizes.items()}
        )

    def items(self) -> Iterator[tuple[str, nn.ModuleDict]]:
        """Path of the layer -> its adapters by owner."""
        return ((name.replace("/", "."), layer) for name, layer in self.layers.items())

    def weights(self) -> dict[str, Tensor]:
        """Names as peft has them, behind "a." and "b." -> values, copies in main memory."""
        values: dict[str, Tensor] = {}
        for path, layer in self.items():
            for owner in OWNERS:
                own = {DOWN: layer[owner].down, UP: layer[owner].up}
                values |= {f"{owner}.{path}{end}": value.detach().cpu().clone() for end, value in own.items()}
        return values


def fresh_queries(backbone: Backbone, rank: int = RANK, dropout: float = DROPOUT, targets: Sequence[str] = QUERIES) -> CellQueries:
    """An adapter for `backbone` that does nothing yet."""
    return CellQueries(layer_sizes(backbone.transformer, targets), rank, dropout).to(backbone.device)


def queries_of(weights: Mapping[str, Tensor], title: str) -> CellQueries:
    """The inverse of `CellQueries.weights`; UserError for other names or more than one rank."""
    ups = {key.removesuffix(UP): value for key, value in weights.items() if key.endswith(UP)}
    paths = sorted({key.partition(".")[2] for key in ups})
    complete = {f"{owner}.{path}" for owner in OWNERS for path in paths} == set(ups)
    if not paths or not complete or len(weights) != 2 * len(ups) or len({value.shape[1] for value in ups.values()}) > 1:
        raise UserError(f"{title} does not hold the queries of a grid's cells: export it again.")
    sizes = {path: (weights[f"a.{path}{DOWN}"].shape[1], ups[f"a.{path}"].shape[0]) for path in paths}
    adapter = CellQueries(sizes, next(iter(ups.values())).shape[1], 0.0)
    with torch.no_grad():
        for path, layer in adapter.items():
            for owner in OWNERS:
                layer[owner].down.copy_(weights[f"{owner}.{path}{DOWN}"])
                layer[owner].up.copy_(ups[f"{owner}.{path}"])
    return adapter.eval().requires_grad_(False)


def shares_of(tokens: Sequence[Sequence[int]], first: int, second: int) -> Tensor:
    """(N, 2): how much of dWq_A and of dWq_B counts for each video token; cells `first` and `second` are A and B, the others outputs."""
    table = torch.full((sum(map(len, tokens)), 2), 0.5)
    for cell, share in ((first, (1.0, 0.0)), (second, (0.0, 1.0))):
        table[torch.as_tensor(tokens[cell])] = torch.tensor(share)
    return table


@contextmanager
def with_queries(backbone: Backbone, adapter: CellQueries, shares: Tensor, strength: float = 1.0) -> Iterator[None]:
    """Within, the queries of the video tokens are made by cell; with strength 0 the model is left alone.

    Args:
        shares: (N, 2), see `shares_of`.
    Raises UserError for an adapter that does not fit.
    """
    modules = dict(backbone.transformer.named_modules())
    if any(getattr(modules.get(path), "in_features", None) != layer["a"].down.shape[1] for path, layer in adapter.items()):
        raise UserError("The queries of the grid's cells were learnt by another model: choose the model that they belong to.")
    adapter.to(backbone.device)
    shares = shares.to(backbone.device) * strength
    with ExitStack() as stack:
        for path, layer in adapter.items() if strength else ():
            stack.callback(modules[path].register_forward_hook(_by_cell(adapter, layer, shares)).remove)
        yield


def _by_cell(adapter: CellQueries, layer: nn.ModuleDict, shares: Tensor):
    """A hook on a projection of all video tokens (B, N, C)."""

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x, own = adapter.dropout(inputs[0]), shares.to(output.dtype)
        return output + own[:, :1] * layer["a"](x) + own[:, 1:] * layer["b"](x)

    return hook
