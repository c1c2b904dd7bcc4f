"""All settings of the training, with the paper's defaults, and the ways of training that it is compared with. No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pipelines.methods.zero_shot_subject.names import RANK

if TYPE_CHECKING:
    from pipelines.playground.train.run import Budget

Task = Literal["images", "clips"]
TASKS: tuple[Task, Task] = ("images", "clips")

PAPER_WIDTH, PAPER_RATE = 3072, 5e-5
"""Channels of CogVideoX-5B, and what was chosen for it (section 5.1)."""

SMALLEST_RANK = 4
BASELINES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "dual-task": {},
        "image-only": {"p": 0.0},
        "two-stage": {"two_stage": True},
        "text-to-video": {"image_to_video": False},
        "first-frame": {"random_frame": False},
        "no-token-drop": {"token_drop": 0.0},
    }
)
"""Name -> what is done otherwise (section 3.4, Table 3)."""


@dataclass(frozen=True)
class Recipe:
    """Settings of a training.

    Attributes:
        budget: how long, see `Budget`; the paper's 4,000 steps.
        p: share of the steps that are about clips.
        two_stage: all of those at the end, instead of in between.
        view_drop: share of pairs whose reference is left out altogether (appendix A.2).
        token_drop: share of a frame's tokens that are left out as a reference of its clip (section 3.4).
        random_frame: whether a clip's reference is any of its frames, or always the first.
        image_to_video: whether a clip has a reference at all.
        no_text: share of empty prompts, so that there is something to guide away from; the paper names none.
        rank: of the adapter; 0: the paper's share of the width, see `rank_for`. Alpha is half of it (appendix A.1).
        dropout: in the adapter.
        rate: of AdamW; 0: the paper's, more in proportion for narrower models, see `rate_for`.
        betas, weight_decay: of AdamW.
        warm_steps, restarts: the rate rises over the first steps and falls along so many cosines to 0.
        images, clips: examples in a step, over all processes.
        images_at_once, clips_at_once: examples that one process computes with at once; gradients are summed up to a step's.
        longest: norm that gradients are cut to.
        likeness, likeness_until: weight of a direct identity loss, where there is one, and share of the budget until which it counts.
        monitor_every: steps between looks at the gradients of both tasks, 0: none; `monitored`: examples of each that are looked at.
        surgery: gradients remembered for PCGrad (4 or 8 in the paper), 0: without it.
        bfloat16: whether layers compute in it, where it is quicker.
        checkpointing: whether blocks are computed again in the backward pass instead of being remembered.
        sample_every: steps between samples, 0: none.
        loss_every: steps averaged into one value of a curve.
        seed: of everything that is drawn.
    """

    budget: Budget
    p: float = 0.2
    two_stage: bool = False
    view_drop: float = 0.5
    token_drop: float = 0.5
    random_frame: bool = True
    image_to_video: bool = True
    no_text: float = 0.0
    rank: int = 0
    dropout: float = 0.1
    rate: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01
    warm_steps: int = 200
    restarts: int = 1
    images: int = 256
    clips: int = 32
    images_at_once: int = 8
    clips_at_once: int = 1
    longest: float = 1.0
    likeness: float = 0.0
    likeness_until: float = 0.8
    monitor_every: int = 100
    monitored: int = 8
    surgery: int = 0
    bfloat16: bool = True
    checkpointing: bool = True
    sample_every: int = 0
    loss_every: int = 10
    seed: int = 0

    def otherwise(self, baseline: str) -> Recipe:
        """The same as one of BASELINES does it."""
        return replace(self, **BASELINES[baseline])

    def plain(self) -> dict[str, str | int | float | bool | None]:
        """All settings as numbers and words by name."""
        values = asdict(self)
        budget, betas = values.pop("budget"), values.pop("betas")
        return values | {"beta1": betas[0], "beta2": betas[1], "budget in minutes": budget["minutes"], "budget in steps": budget["steps"]}

    def task(self, u: float, progress: float) -> Task:
        """What a step is about (eq. 1), for u uniform in 0..1 and the share 0..1 of the budget that is used."""
        about_clips = progress >= 1 - self.p if self.two_stage else u < self.p
        return "clips" if about_clips else "images"

    def sizes(self, task: Task) -> tuple[int, int]:
        """Examples in a step, and at once."""
        return (self.images, self.images_at_once) if task == "images" else (self.clips, self.clips_at_once)

    def rate_at(self, peak: float, step: int, progress: float) -> float:
        """Learning rate: linear warm-up, and cosines with restarts (Loshchilov and Hutter 2017, eq. 5) over the budget."""
        along = self.restarts * progress % 1
        return peak * min(1.0, (step + 1) / max(1, self.warm_steps)) * 0.5 * (1 + math.cos(math.pi * along))


def rank_for(width: int) -> int:
    """128 at a width of 3072, in proportion elsewhere."""
    return max(SMALLEST_RANK, round(RANK * width / PAPER_WIDTH))


def rate_for(width: int) -> float:
    """The paper's rate at the paper's width, more in proportion for a narrower model, which needs it."""
    return PAPER_RATE * PAPER_WIDTH / width
