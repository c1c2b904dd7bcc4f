"""Guidance by identity and by text: which forward passes a step needs, and how they are put together (Lynx's published inference)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Pass = Literal["unconditional", "identity", "conditional"]
"""u: negative prompt, no identity. i: negative prompt, identity. c: prompt, identity."""


def passes(guidance: float, id_guidance: float | None) -> tuple[Pass, ...]:
    """The passes that `combined` needs, the one with the prompt last.

    Three; two without guidance by identity, or where both are equal and i cancels out; one where guidance is off, at 1 or less.

    Args:
        guidance: weight of the text.
        id_guidance: weight of the identity; None: prompt and identity are guided together.
    """
    if guidance <= 1:
        return ("conditional",)
    if id_guidance is None or id_guidance == guidance:
        return ("unconditional", "conditional")
    return ("unconditional", "identity", "conditional")


def combined(predictions: Mapping[Pass, Tensor], guidance: float, id_guidance: float | None) -> Tensor:
    """u + id_guidance * (i - u) + guidance * (c - i), or u + guidance * (c - u), or c, all of one shape."""
    c = predictions["conditional"]
    match passes(guidance, id_guidance):
        case (_,):
            return c
        case (_, _):
            u = predictions["unconditional"]
            return u + guidance * (c - u)
        case _:
            u, i = predictions["unconditional"], predictions["identity"]
            return u + id_guidance * (i - u) + guidance * (c - i)
