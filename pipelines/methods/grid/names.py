"""Names that the parts of the method share. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

FAMILY = "wan"
OTHER_FAMILY = (
    "Grids are drawn by models of the Wan family only, which can tell finished parts of a clip from noisy ones: choose one of those."
)

Kind = Literal["dynamic", "consistent", "composition", "fill"]
FILES: Mapping[Kind, str] = MappingProxyType(
    {"dynamic": "dynamic.safetensors", "consistent": "grid.safetensors", "composition": "compose.safetensors", "fill": "fill.safetensors"}
)
"""Kind of adapter -> its file in a folder of adapters."""

RANK, DROPOUT = 8, 0.5
"""Of the Grid LoRA (Grid composition, section 4.3), here of all three."""

QUERIES = ("to_q",)
"""What the Grid LoRA changes (eq. 1 to 3)."""

TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2")
"""Layers of Wan's blocks that the other adapters change; the paper names none."""
