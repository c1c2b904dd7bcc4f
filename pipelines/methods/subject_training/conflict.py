"""How the gradients of two tasks lie to each other, and what PCGrad makes of them (section 4.3, appendices B.1 and B.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pipelines.methods.subject_training.recipe import TASKS, Task

TINY = 1e-12
GROUPS = {"attention": "attn1", "feed-forward": "ff", "modulation": "norm", "embedding": "patch_embed"}
"""Group of layers -> what is in their names (appendix B.1: attention against others)."""


def flat(gradients: Iterable[Tensor]) -> Tensor:
    """(N,) of all parameters one after the other, in float32."""
    return torch.cat([gradient.detach().flatten().float() for gradient in gradients])


def phi(g_img: Tensor, g_vid: Tensor) -> float:
    """Cosine of two gradients (N,); 0 where there is none."""
    return float(g_img @ g_vid / (g_img.norm() * g_vid.norm() + TINY))


def groups_of(names: Sequence[str], sizes: Sequence[int]) -> dict[str, Tensor]:
    """Group of layers -> places in a flat gradient; those that are empty are left out."""
    starts = torch.tensor([0, *sizes]).cumsum(0).tolist()
    spans = {name: torch.arange(*starts[number : number + 2]) for number, name in enumerate(names)}
    parts = {group: [span for name, span in spans.items() if word in name] for group, word in GROUPS.items()}
    return {group: torch.cat(found) for group, found in parts.items() if found}


def projected(g: Tensor, other: Tensor) -> Tensor:
    """`g` (N,) without the part that goes against `other` (N,) (eq. 5; Yu et al. 2020, algorithm 1); itself if none does."""
    along = g @ other
    return g - torch.clamp(along, max=0) / (other.square().sum() + TINY) * other


def combined(g_img: Tensor, g_vid: Tensor, p: float) -> Tensor:
    """(N,): both, each projected on the other where they conflict, with the weights of their steps (appendix B.3)."""
    return (1 - p) * projected(g_img, g_vid) + p * projected(g_vid, g_img)


class Recent:
    """Buffered PCGrad: the last gradients of both tasks, from which one direction is made once both have appeared (appendix B.3).

    Args:
        size: gradients remembered, of both tasks together; the oldest is forgotten.
        p: share of steps that are about clips.
    """

    def __init__(self, size: int, p: float) -> None:
        self.p, self.kept = p, deque[tuple[Task, Tensor]](maxlen=size)

    def direction(self, task: Task, gradient: Tensor) -> Tensor:
        """What to follow after `gradient` (N,) of `task`: itself as long as it is alone, else the means of both tasks combined."""
        self.kept.append((task, gradient))
        known = {name: [one for of, one in self.kept if of == name] for name in TASKS}
        if not all(known.values()):
            return gradient
        return combined(*(torch.stack(known[name]).mean(0) for name in TASKS), self.p)

    def state_dict(self) -> dict[str, Any]:
        """What is remembered."""
        return {"tasks": [task for task, _ in self.kept], "gradients": [gradient for _, gradient in self.kept]}

    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.kept.clear()
        self.kept.extend(zip(values["tasks"], values["gradients"], strict=True))
