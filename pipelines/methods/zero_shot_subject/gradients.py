"""How the gradients of the two tasks stood to each other while adapters were trained (section 3.5): what the monitor took down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from pipelines.errors import UserError
from pipelines.evaluation.rows import Row
from pipelines.models.folders import read_json

RECORD = "training.json"
PARTS = 8
"""Means over so many parts of a training are reported: single looks waver."""

FIGURES = ("phi", "norm images", "norm clips")


def looks_at(folder: Path) -> list[dict[str, float]]:
    """What the monitor found, look by look; empty for an adapter that nobody looked at."""
    try:
        found = read_json(folder / RECORD).get("gradients", [])
    except (UserError, OSError):
        return []
    looks = found if isinstance(found, list) else []
    return [look for look in looks if isinstance(look, Mapping) and all(isinstance(look.get(name), int | float) for name in FIGURES)]


def gradient_rows(model: str, name: str, folder: Path) -> Iterator[Row]:
    """phi and both norms of the adapter `name`, means over each of PARTS parts of its training, looks being the samples."""
    looks = looks_at(folder)
    if len(looks) < PARTS:
        return
    parts = np.array_split(np.arange(len(looks)), PARTS)
    for figure in FIGURES:
        for part, chosen in enumerate(parts, 1):
            yield Row.of(f"{model}: {figure}, {name}, part {part} of {PARTS}", [looks[look][figure] for look in chosen])


def draw_phi(rows: Sequence[Row], folder: Path) -> None:
    """phi.png: the course of phi of each adapter (Fig. 4), as `gradient_rows` names it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    for name, points in _curves(rows).items():
        axes.errorbar(*zip(*points, strict=True), marker="o", label=name)
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set(xlabel="share of the training", ylabel="cosine of the gradients of both tasks")
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    figure.tight_layout()
    figure.savefig(folder / "phi.png", dpi=120)


def _curves(rows: Sequence[Row]) -> dict[str, list[tuple[float, float, float]]]:
    """Adapter -> (share of the training, phi, its standard error)."""
    curves: dict[str, list[tuple[float, float, float]]] = {}
    for row in rows:
        words = row.name.partition(": ")[2].split(", ")
        if words[0] == "phi" and len(words) == 3:
            part = int(words[2].split()[1])
            curves.setdefault(words[1], []).append(((part - 0.5) / PARTS, row.value, row.standard_error or 0.0))
    return curves
