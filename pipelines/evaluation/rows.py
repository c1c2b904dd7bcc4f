"""The form that all evaluations share: rows of a figure, its uncertainty and its bar."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        name: what was measured.
        value: the mean.
        standard_error: of the mean, None for a single measurement.
        bar: what is to be reached or exceeded, None for a figure without one.
        holds: whether it is, None without a bar.
    """

    name: str
    value: float
    standard_error: float | None = None
    bar: float | None = None
    holds: bool | None = None

    @staticmethod
    def of(name: str, samples: Sequence[float], bar: float | None = None) -> Row:
        """The mean of `samples` with its standard error against `bar`."""
        values = np.asarray(samples, float)
        error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
        mean = float(values.mean())
        return Row(name, mean, error, bar, None if bar is None else mean >= bar)


def write_report(rows: Sequence[Row], file: Path | None, about: dict[str, object]) -> None:
    """Print a table and, if asked for, write the same as JSON with what it was measured on."""
    width = max(len(row.name) for row in rows)
    for row in rows:
        error = f" ± {row.standard_error:.3g}" if row.standard_error is not None else ""
        bar = f"   bar {row.bar:g}: {'holds' if row.holds else 'missed'}" if row.bar is not None else ""
        print(f"{row.name:<{width}}  {row.value:.4g}{error}{bar}")
    if file:
        machine = {"machine": f"{os.cpu_count()}-core {platform.machine()} processor", "python": platform.python_version()}
        file.write_text(json.dumps({"about": about | machine, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")
