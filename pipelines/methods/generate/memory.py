"""How much memory a run took at its peak."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


def forget_peak(backbone: Backbone) -> None:
    """Begin to count anew, where that can be done: on a card."""
    if backbone.device != "cpu":
        import torch

        torch.cuda.reset_peak_memory_stats(backbone.device)


def peak(backbone: Backbone) -> int:
    """Peak bytes: of the card since `forget_peak`, or of the process since it began."""
    if backbone.device != "cpu":
        import torch

        return torch.cuda.max_memory_allocated(backbone.device)
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024
