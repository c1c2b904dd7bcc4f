"""A forward pass that ends as soon as what is wanted of it has been computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pipelines.attention.edits import block_part
from pipelines.backbones.layout import AttentionBlock


class _Enough(Exception):
    """Not an error: the pass has come far enough."""


def forward_until(block: AttentionBlock, forward: Callable[[], Any]) -> None:
    """Call `forward` and leave it once the attention of `block` has given its output.

    Where a part of the model moves between memories, or the blocks are compiled, the pass goes on to its end: who moves parts
    counts on that, and a compiled graph cannot be left.
    """
    if block.parent._compiled_call_impl is not None or any(hasattr(part, "_diffusers_hook") for part in block.parent.modules()):
        forward()
        return
    handle = block_part(block, "output").register_forward_hook(_stop)
    try:
        forward()
    except _Enough:
        pass
    finally:
        handle.remove()


def _stop(module: torch.nn.Module, inputs: Any, output: Any) -> None:
    raise _Enough
