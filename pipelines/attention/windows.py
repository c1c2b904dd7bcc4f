"""Which layers, steps or noise levels an edit covers, in a unit that carries over to models and schedules of other lengths.

No torch here: requests may hold windows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Window:
    """A range, 0-based, both ends inclusive.

    Attributes:
        unit: what `first` and `last` count.
            layers: fraction of the depth (layer 12 of 42 is 12/42); steps: fraction of the schedule (step 3 of 50 is 3/50);
            noise: timestep, 0 (clean) to 1000 (pure noise), compared with the scheduler's own timesteps.
        first, last: ends, first <= last.
    """

    unit: Literal["layers", "steps", "noise"]
    first: float
    last: float

    def __post_init__(self) -> None:
        if self.unit not in ("layers", "steps", "noise"):
            raise ValueError(f"unit must be layers, steps or noise, not {self.unit!r}")
        limit = 1000 if self.unit == "noise" else 1
        if not 0 <= self.first <= self.last <= limit:
            raise ValueError(f"a window over {self.unit} needs 0 <= first <= last <= {limit}, not {self.first}..{self.last}")

    def layers(self, depth: int) -> range:
        """Layer numbers of a model with `depth` layers; ends rounded to the nearest existing layer, never empty."""
        self._require("layers")
        return self._range(depth)

    def steps(self, timesteps: Sequence[float]) -> list[int]:
        """Step numbers of a schedule with these (falling) timesteps; never empty.

        Noise windows take the steps whose timestep lies within; if none does, the nearest one.
        """
        if self.unit != "noise":
            self._require("steps")
            return list(self._range(len(timesteps)))
        levels = [float(level) for level in timesteps]
        inside = [index for index, level in enumerate(levels) if self.first <= level <= self.last]
        return inside or [min(range(len(levels)), key=lambda index: max(self.first - levels[index], levels[index] - self.last))]

    def _range(self, count: int) -> range:
        first, last = (min(math.floor(end * count + 0.5), count - 1) for end in (self.first, self.last))
        return range(first, last + 1)

    def _require(self, unit: str) -> None:
        if self.unit != unit:
            raise ValueError(f"this window counts {self.unit}, not {unit}")


def layer_window(first: int, last: int, of: int) -> Window:
    """Layers first..last of a model with `of` layers, as papers give them: layer_window(20, 29, of=42)."""
    return Window("layers", first / of, last / of)


def step_window(first: int, last: int, of: int) -> Window:
    """Steps first..last of a schedule of `of` steps: step_window(3, 19, of=50)."""
    return Window("steps", first / of, last / of)


def noise_window(lowest: float, highest: float) -> Window:
    """Timesteps lowest..highest of 1000: noise_window(550, 950)."""
    return Window("noise", lowest, highest)
