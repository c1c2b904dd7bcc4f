"""The recognisers: embeddings of aligned faces, the same person's close together and others' far apart.

Trained with the additive angular margin of ArcFace (Deng et al. 2019, arXiv 1801.07698) over the training identities; a
linear layer on the unit embedding tells the person's traits, as a training aid that is not kept.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pipelines.playground.train.augment import blur, coarsen, grain, quantise, tint
from pipelines.playground.train.faces.layers import begin_with
from pipelines.playground.train.faces.networks import CROP, EMBEDDING
from pipelines.playground.train.faces.pictures import FacePictures
from pipelines.playground.train.faces.traits import standard_traits
from pipelines.playground.train.optimise import MuonAndAdamW
from pipelines.playground.train.run import Average, Budget, Run, descend, warm_then_cosine

MARGIN, SCALE = 0.4, 30.0
"""Radians added to the angle to the right person; factor of the cosines."""

JITTER = 0.03
"""Deviation added to the key points that crops are aligned by, in eye distances."""

PLACES = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
"""Where eyes, nose and corners of the mouth are in a crop (insightface's `arcface_dst`)."""

TRAITS = 10.0
"""Weight of the loss of the traits."""

CROPS = 6
"""Crops in one sample of a step."""

PEAK = 1.5e-3
GOING_ON = 0.4
"""Share of that rate for a network that has been trained before."""


class Training(nn.Module):
    """A recogniser with what is trained beside it.

    Attributes:
        network: the recogniser.
        people: (N, 512) a direction for each training identity.
        tell: linear layer from unit embeddings to traits.
    """

    def __init__(self, network: nn.Module, people: int, traits: int) -> None:
        super().__init__()
        self.network = network
        self.people = nn.Parameter(torch.randn(people, EMBEDDING) / EMBEDDING**0.5)
        self.tell = nn.Linear(EMBEDDING, traits)

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalised crops -> cosines to all people (B, N), traits (B, D)."""
        unit = F.normalize(self.network(crops), dim=1)
        return unit @ F.normalize(self.people, dim=1).T, self.tell(unit * SCALE**0.5)


def margin_loss(cosines: torch.Tensor, people: torch.Tensor, margin: float = MARGIN, scale: float = SCALE) -> torch.Tensor:
    """ArcFace (eq. 3): cross-entropy of `scale` x cosine, where `margin` is added to the angle to the right person.

    Args:
        cosines: (B, N) of the angles to each of N people.
        people: (B,) the right one. Beyond an angle of pi - margin, where cos(angle + margin) would rise again, the cosine is
            lowered by margin x sin(margin) instead, as in the authors' code.
    """
    right = cosines.gather(1, people[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
    farther = right * math.cos(margin) - (1 - right**2).sqrt() * math.sin(margin)
    harder = torch.where(right > math.cos(math.pi - margin), farther, right - margin * math.sin(margin))
    return F.cross_entropy(scale * cosines.scatter(1, people[:, None], harder), people)


class Crops:
    """Aligned faces of loaded pictures, as insightface crops them, but from key points that are a little off."""

    def __init__(self, pictures: FacePictures) -> None:
        self.pictures = pictures
        self.shown = np.flatnonzero(pictures.people >= 0)

    def draw(self, draw: np.random.Generator, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalised crops (B, 3, 112, 112), damaged as generated pictures are, and the number of the person in each (B,)."""
        chosen = draw.choice(self.shown, size=count)
        crops = torch.from_numpy(np.stack([self.crop(draw, int(index)) for index in chosen])).permute(0, 3, 1, 2).float() / 255
        for harm, chance in ((blur, 0.25), (coarsen, 0.25), (quantise, 0.2), (tint, 0.4), (other_light, 0.25), (grain, 0.3)):
            some = (torch.rand(count) < chance).nonzero()[:, 0]
            if len(some):
                crops = crops.index_copy(0, some, harm(crops[some]))
        return crops.clamp(0, 1) * 2 - 1, torch.from_numpy(self.pictures.people[chosen])

    def crop(self, draw: np.random.Generator, index: int) -> np.ndarray:
        """(112, 112, 3) uint8 of picture `index`."""
        import cv2

        marks = self.pictures.landmarks[index]
        noise = JITTER * np.linalg.norm(marks[0] - marks[1]) * draw.normal(size=marks.shape)
        return cv2.warpAffine(self.pictures.pixels[index], alignment(marks + noise), (CROP, CROP))


def other_light(colours: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) 0..1 -> the same, each in light of another colour: who someone is does not depend on it."""
    return colours * (0.35 * torch.randn(len(colours), 3, 1, 1) - 0.1).exp().clamp(max=1.3)


def alignment(marks: np.ndarray) -> np.ndarray:
    """(2, 3) the rotation, scaling and shift that brings key points (5, 2) closest to where crops have them.

    The same as insightface's `estimate_norm` (least squares, here with points as complex numbers), many times as fast.
    """
    points, wanted = marks @ (1, 1j), np.array(PLACES) @ (1, 1j)
    centred = points - points.mean()
    turn = (centred.conj() @ (wanted - wanted.mean())) / (centred.conj() @ centred).real
    shift = wanted.mean() - turn * points.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]], np.float32)


def train_recogniser(
    network: nn.Module, pictures: FacePictures, folder: Path, budget: Budget, device: str, *, batch: int = 8, start: Path | None = None,
    resume: bool = True, seed: int = 0,
) -> nn.Module:  # fmt: skip
    """`network` trained, with averaged weights. A step looks at `batch` x CROPS crops.

    `start` is the folder of an earlier training to go on from.
    """
    torch.manual_seed(seed)
    crops, count = Crops(pictures), int(pictures.people.max()) + 1
    traits = torch.from_numpy(standard_traits([pictures.identity(person) for person in range(count)]))
    model = Training(network, count, traits.shape[1]).to(device)
    if start:
        begin_with(model, start / "recogniser.pt")
    average, optimiser = Average(model, decay=0.998), MuonAndAdamW(model, PEAK, weight_decay=0.02)
    peak = PEAK * (GOING_ON if start else 1)
    run = Run(folder, "recogniser", {"model": model, "average": average, "optimiser": optimiser}, budget, seed, resume)

    def update(step: int, progress: float) -> float:
        optimiser.set_rate(warm_then_cosine(progress, step, peak=peak))
        seen, people = crops.draw(np.random.default_rng((seed, step)), batch * CROPS)
        cosines, told = model(seen.to(device))
        loss = margin_loss(cosines, people.to(device), MARGIN if start else MARGIN * min(1.0, 3 * progress))
        loss = loss + TRAITS * F.mse_loss(told, traits[people].to(device))
        return descend(loss, model, optimiser, average, limit=5.0)

    run.loop(update)
    model.load_state_dict(average.weights)
    return model.network.cpu().eval()
