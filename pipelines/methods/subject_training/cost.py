"""What a training costs before it is begun (section 3.5, Compute Efficiency). No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from pipelines.errors import UserError
from pipelines.methods.generate import cost
from pipelines.methods.subject_training.recipe import TASKS, Task
from pipelines.models.folders import read_json
from pipelines.models.registry import ModelEntry
from pipelines.requests import VideoRequest

BACKWARD = 1.5
"""Work of a backward pass in forward passes: the base's own weights need no gradients."""


def ratio(frames: int) -> float:
    """Attention of a step on clips of T latent frames, in that of one on pictures: T^2; 169 for T = 13."""
    return float(frames**2)


def expected(p: float, frames: int) -> float:
    """E[C] in steps on pictures (eq. 3): (1 - p) + p T^2; 34.6 for p = 0.2 and T = 13."""
    return 1 - p + p * ratio(frames)


@dataclass(frozen=True)
class Step:
    """What is in a step of one task.

    Attributes:
        examples: of it.
        tokens: of one example, the reference's and the text's among them.
        operations: of the whole step, forward and backward.
    """

    examples: int
    tokens: int
    operations: float


@dataclass(frozen=True)
class Cost:
    """What a training costs.

    Attributes:
        steps: Task -> what is in one.
        frames: T, latent frames of a clip.
        attention: E[C] of the paper's model, in steps on pictures.
        tokens: in the mean step.
        seconds: of the whole training, without what is encoded on the way.
    """

    steps: dict[Task, Step]
    frames: int
    attention: float
    tokens: float
    seconds: float


def shares(p: float) -> dict[Task, float]:
    """Task -> share of the steps."""
    return dict(zip(TASKS, (1 - p, p), strict=True))


def seconds_for(total: int, p: float, pace: dict[Task, float]) -> float:
    """Of `total` steps, from what a step of each task was measured to take; what was not measured counts nothing."""
    return total * sum(share * pace.get(task, 0.0) for task, share in shares(p).items())


def step_of(frames: int, width: int, height: int, examples: int, entry: ModelEntry) -> Step:
    """A step on clips of `frames` latent frames, `width` x `height` px, beside a reference of one; a picture is a clip of one frame."""
    shape, sizes = cost.shape_of(entry), sizes_of(entry)
    tokens = (frames + 1) * (width // shape.token) * (height // shape.token) + sizes.text
    forward = 2 * entry.parameters * tokens + 4 * tokens**2 * shape.depth_width
    return Step(examples, tokens, forward * (1 + BACKWARD) * examples)


class Sizes(NamedTuple):
    """Frames of a clip that a latent frame after the first stands for, and text tokens of a prompt."""

    fold: int = 4
    text: int = 226

    def latent_frames(self, frames: int) -> int:
        """T of a clip."""
        return (frames - 1) // self.fold + 1


@lru_cache(maxsize=32)
def sizes_of(entry: ModelEntry) -> Sizes:
    """Of a model, by its own configuration; those of CogVideoX-5B where it is not on this machine."""
    if entry.folder is None:
        return Sizes()
    try:
        vae, transformer = (read_json(entry.folder / part / "config.json") for part in ("vae", "transformer"))
        return Sizes(int(vae["temporal_compression_ratio"]), int(transformer["max_text_seq_length"]))
    except (UserError, KeyError, TypeError, ValueError):
        return Sizes()


def cost_of(clip: VideoRequest, entry: ModelEntry, *, images: int, clips: int, p: float, total: int) -> Cost:
    """Of `total` steps.

    Args:
        clip: width, height and frames of the clips; pictures are as large.
        images, clips: examples in a step.
    """
    frames = sizes_of(entry).latent_frames(clip.frames)
    parts = (step_of(count, clip.width, clip.height, many, entry) for count, many in ((1, images), (frames, clips)))
    steps = dict(zip(TASKS, parts, strict=True))
    pace = {task: step.operations / cost.speed(entry) for task, step in steps.items()}
    return Cost(
        steps=steps,
        frames=frames,
        attention=expected(p, frames),
        tokens=sum(share * steps[task].examples * steps[task].tokens for task, share in shares(p).items()),
        seconds=seconds_for(total, p, pace),
    )
