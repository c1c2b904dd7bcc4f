"""How precisely a training computes."""

from __future__ import annotations

import torch

QUICK_ON_CPU = ("amx_bf16", "avx512_bf16")
"""Units of processors that multiply in bfloat16; without them it is emulated, many times slower than float32."""


def has_bfloat16(device: str) -> bool:
    """Whether bfloat16 is quicker than float32 there."""
    return device != "cpu" or any(torch.cpu.get_capabilities().get(unit) for unit in QUICK_ON_CPU)


def mixed(device: str) -> torch.autocast:
    """Within, layers compute in bfloat16 where that is quicker."""
    return torch.autocast(device, torch.bfloat16, enabled=has_bfloat16(device))
