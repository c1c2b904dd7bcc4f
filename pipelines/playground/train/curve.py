"""The loss of a training over its steps, read from its log and drawn."""

from __future__ import annotations

import json
from pathlib import Path


def read_losses(folder: Path) -> dict[str, dict[int, float]]:
    """Phase -> step -> mean loss of the last steps, from `folder`/log.jsonl; after a resumption the later row counts."""
    losses: dict[str, dict[int, float]] = {}
    file = folder / "log.jsonl"
    for line in file.read_text().splitlines() if file.exists() else []:
        row = json.loads(line)
        losses.setdefault(row["phase"], {})[row["step"]] = row["loss"]
    return losses


def draw_losses(folder: Path) -> None:
    """Write `folder`/loss.png: one curve per phase, logarithmic."""
    losses = read_losses(folder)
    if not losses:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="loss", yscale="log")
    for phase, points in losses.items():
        steps = sorted(points)
        axes.plot(steps, [points[step] for step in steps], label=phase, linewidth=1.2)
    axes.legend()
    axes.grid(alpha=0.3, which="both")
    FigureCanvasAgg(figure).print_png(folder / "loss.png")
