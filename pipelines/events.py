"""What a running method says: `Progress`, `Preview` and, last, `Result`.

A method is a generator of these (DESIGN: "a method is a generator function"). Payloads are
numpy arrays so that a studio, a command line or a worker process can carry them without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from pipelines.requests import Request

PreviewKind = Literal["frames", "mask", "map", "flow", "curve"]


@dataclass(frozen=True)
class Progress:
    """Where the work stands.

    Attributes:
        phase: what is being done, for a person ("loading the model", "denoising").
        step: steps finished in this phase, 0..total.
        total: steps of this phase; 0 when unknown.
        seconds_left: estimate for the rest of the whole run, or None while unknown.
        unit: what `step` and `total` count ("steps", "bytes").
    """

    phase: str
    step: int = 0
    total: int = 0
    seconds_left: float | None = None
    unit: str = "steps"


@dataclass(frozen=True)
class Preview:
    """An intermediate picture.

    Attributes:
        kind: how `array` is to be read.
            frames (T, H, W, 3) uint8 RGB; mask and map (T, H, W) float 0..1;
            flow (T, H, W, 2) displacement in token grid units (x, y); curve (N,) float.
        name: which of the method's pictures this is ("denoised", "foreground mask").
        step: the denoising or training step it belongs to, 0-based.
    """

    kind: PreviewKind
    name: str
    step: int
    array: np.ndarray


@dataclass(frozen=True)
class Result:
    """The end of a run.

    Attributes:
        request: the request as it was run: real seed, snapped sizes.
        frames: (T, H, W, 3) uint8 RGB, or None for methods that make no clip.
        fps: frames per second of `frames`.
        notes: sentences about what was changed or should be known.
        values: figures of the run (seconds, peak bytes, losses).
    """

    request: Request
    frames: np.ndarray | None = None
    fps: int = 8
    notes: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


Event = Progress | Preview | Result
