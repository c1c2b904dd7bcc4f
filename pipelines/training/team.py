"""The processes that train something together: one, several that share each step (DDP), or several that share the weights too (FSDP).

Processes are started by torchrun or `accelerate launch`; accelerate finds out about them. Weights are shared where accelerate's
configuration says so (`accelerate launch --use_fsdp`, or ACCELERATE_USE_FSDP=true beside torchrun), by torch's `fully_shard`, on
processors too, which accelerate itself leaves to cards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import FSDPModule, fully_shard

from pipelines.errors import UserError

Value = TypeVar("Value")

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
"""Of weights that are shared, every process takes part in putting them together, and the first one has them."""


class Team:
    """This process and those that train with it.

    Attributes:
        accelerator: accelerate's view of them.
        sharded: whether weights, gradients and the optimiser's memory are shared.

    Args:
        device: where the model is.
        shares: whether this training can share weights.
    Raises UserError if it cannot and was told to.
    """

    def __init__(self, device: str, shares: bool = False) -> None:
        self.accelerator = Accelerator(mixed_precision="no", cpu=device == "cpu")
        self.sharded = self.size > 1 and os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
        if self.sharded and not shares:
            raise UserError("This training cannot share its weights between processes: start it without FSDP.")

    @property
    def size(self) -> int:
        """How many there are."""
        return self.accelerator.num_processes

    @property
    def place(self) -> int:
        """Of this one, from 0."""
        return self.accelerator.process_index

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.accelerator.is_main_process

    def agree(self, value: Value) -> Value:
        """What the first one thinks, lest they drift apart by their clocks."""
        return value if self.size == 1 else broadcast_object_list([value])[0]

    def join(self, module: nn.Module) -> nn.Module:
        """`module`, to be called instead of it; its optimiser has to be made afterwards, of the module's new parameters."""
        return fully_shard(module) if self.sharded else self.accelerator.prepare(module)


class Trained:
    """A module and its optimiser as a part of a checkpoint, whole however many processes share them.

    Args:
        module: what `Team.join` gave, or the module itself where nothing is shared.
    """

    def __init__(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        self.module, self.optimiser = module, optimiser

    def weights(self) -> dict[str, Any]:
        """The module's, by its names; where they are shared, on every process at once, and empty on all but the first."""
        return get_model_state_dict(self.module, options=WHOLE)

    def state_dict(self) -> dict[str, Any]:
        """As for `weights`."""
        return {"weights": self.weights(), "optimiser": get_optimizer_state_dict(self.module, self.optimiser, options=WHOLE)}

    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """The inverse, from the whole on every process."""
        set_model_state_dict(self.module, values["weights"], options=WHOLE)
        self.optimiser.zero_grad()  # gradients of an earlier training would be taken for one that is under way
        set_optimizer_state_dict(self.module, self.optimiser, values["optimiser"], options=WHOLE)


@contextmanager
def together(module: nn.Module) -> Iterator[None]:
    """Within, a module whose weights are shared has all of them here, for whoever uses its parts without calling it."""
    shared = module if isinstance(module, FSDPModule) else None
    try:
        if shared is not None:
            shared.unshard()
        yield
    finally:
        if shared is not None:
            shared.reshard()
