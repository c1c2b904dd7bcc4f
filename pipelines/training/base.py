"""What trainings on a frozen base have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def frozen(transformer: Any, checkpointing: bool = False) -> Iterator[None]:
    """Within, no weight of the transformer is trained, and its blocks are checkpointed if wanted; afterwards all is as it was."""
    trained, before = [parameter for parameter in transformer.parameters() if parameter.requires_grad], transformer.gradient_checkpointing
    transformer.requires_grad_(False)
    if checkpointing:
        transformer.enable_gradient_checkpointing()
    try:
        yield
    finally:
        if checkpointing and not before:
            transformer.disable_gradient_checkpointing()
        for parameter in trained:
            parameter.requires_grad_(True)


def draw_level(draw: np.random.Generator, shift: float) -> float:
    """A noise level 0..1: logit-normal (Esser et al. 2024, section 3.1), moved towards noise as the sampler's levels are."""
    sigma = 1 / (1 + float(np.exp(-draw.normal())))
    return shift * sigma / (1 + (shift - 1) * sigma)
