"""What pictures of the world are called: labels, groups and captions of stills, as the judge's trainings want them."""

from __future__ import annotations

import math

import numpy as np
import torch

from pipelines.playground.looking import OF_THE_SCENE
from pipelines.playground.scene import caption
from pipelines.playground.train.stills import WorldStills

NOT_SEEN = ("motion", "camera")
"""Labels that a single picture cannot show."""


def classes(stills: WorldStills) -> dict[str, list[str]]:
    """Attribute -> the names it takes in `stills`, in alphabetical order."""
    names: dict[str, set[str]] = {}
    for scene in stills.scenes:
        for attribute, name in scene.labels().items():
            if attribute not in NOT_SEEN:
                names.setdefault(attribute, set()).add(name)
    return {attribute: sorted(values) for attribute, values in names.items()}


class Targets:
    """Groups, labels and captions of stills by index.

    Attributes:
        groups: see `WorldStills`.
        labels: attribute -> (count,) index of the name; -1 where there is none, or several subjects to ask of.
        near: the same for the front subject, however many there are.
    """

    def __init__(self, stills: WorldStills, names: dict[str, list[str]]) -> None:
        self.groups, self.scenes = torch.from_numpy(stills.groups), stills.scenes
        told, alone = [scene.labels() for scene in stills.scenes], torch.tensor([len(scene.subjects) == 1 for scene in stills.scenes])
        known = {
            name: torch.tensor([places.index(labels[name]) if name in labels else -1 for labels in told]) for name, places in names.items()
        }
        self.labels = {name: places if name in OF_THE_SCENE else torch.where(alone, places, -1) for name, places in known.items()}
        self.near = {name: places for name, places in known.items() if name not in OF_THE_SCENE}

    def captions(self, draw: np.random.Generator, indices: np.ndarray) -> list[str]:
        """One each, a third of them with words of motion, which the judge has to bear with."""
        return [caption(self.scenes[index], moving=bool(draw.uniform() < 1 / 3)) for index in indices]


def sameness(embeddings: torch.Tensor, groups: torch.Tensor, temperature: float = 0.1) -> torch.Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, eq. 2) of unit embeddings (B, E); pictures of group -1 only repel."""
    itself = torch.eye(len(groups), dtype=torch.bool, device=groups.device)
    alike = (groups[:, None] == groups) & (groups >= 0) & ~itself
    log_share = (embeddings @ embeddings.T / temperature).masked_fill(itself, -math.inf).log_softmax(1)
    anchors = alike.any(1)
    if not anchors.any():
        return embeddings.sum() * 0
    return -(log_share.masked_fill(~alike, 0).sum(1)[anchors] / alike.sum(1)[anchors]).mean()
