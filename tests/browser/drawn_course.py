"""A procedural training: curves that settle, a ring that becomes round, and an adapter that is kept, within seconds.

Its previews have the names and kinds of those of the trainings of adapters, so that the page can be tested without hours of
learning. What it keeps is a file that was written before; a training of the same folder goes on at the step where it was stopped.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipelines.events import Event, Preview, Progress, Result
from pipelines.files import Files
from pipelines.requests import Request

STEP_SECONDS = 0.02
EVERY = 5
ONE = {"train-subjects": ("loss images", "loss clips", "phi", "norm images", "norm clips"), "train-face": ("loss",)}


def run(request: Request, files: Files, adapter: Path) -> Iterator[Event]:
    """Train for `request.total_steps`; `adapter` is the file that is kept, also when the iterator is closed."""
    folder = files.find(request.folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "step.txt"
    first = int(state.read_text()) if state.exists() else 0
    noise, step = np.random.default_rng(request.seed), first
    yield Progress("drawing toys", 0, 3, unit="examples")
    try:
        for step in range(first, request.total_steps):
            time.sleep(STEP_SECONDS)
            if step % EVERY == 0:
                yield from curves(request.method, step, noise)
            if request.sample_every and step % request.sample_every == 0:
                yield Preview("frames", "sample", step, sample(step / request.total_steps, noise))
            yield Progress("training", step + 1, request.total_steps, (request.total_steps - step - 1) * STEP_SECONDS)
    finally:
        state.write_text(str(step))
        shutil.copy(adapter, folder / "adapter.safetensors")
    yield Result(request, None, notes=("A step is 12 pairs or 3 clips.",), values={"steps": request.total_steps})


def curves(method: str, step: int, noise: np.random.Generator) -> Iterator[Preview]:
    """The curves so far."""
    x = np.arange(step // EVERY + 1)
    for place, name in enumerate(ONE[method]):
        fall = 0.3 * np.exp(-x / 12) + 0.02 * np.random.default_rng(place).normal(size=len(x))
        yield Preview("curve", name, step, fall + {"l": 0.2, "p": 0.0, "n": 0.05}[name[0]] * (1 + place / 4))


def sample(share: float, noise: np.random.Generator) -> np.ndarray:
    """(9, 64, 64, 3) uint8: a ring that crosses the picture, the clearer the more has been learnt."""
    rows, columns = np.mgrid[:64, :64]
    clip = np.full((9, 64, 64, 3), (58, 92, 60), np.uint8)
    for frame in range(9):
        away = np.hypot(rows - 32, columns - 16 - 4 * frame)
        clip[frame][(away < 14) & (away > 7)] = (224, 150, 50)
    return (clip * share + noise.integers(0, 255, clip.shape) * (1 - share)).astype(np.uint8)
