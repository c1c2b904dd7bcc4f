"""A recogniser that looks at latents, and the direct identity loss that it makes possible.

Why there is one. Training a resampler from scratch showed "no facial resemblance even after substantial training" in the paper
(section 3.2.2), whose way out, the resampler of an image model, nobody has here. Squared error is the reason: among people of one
description, faces differ in a few latents and by little, so that hardly any of the gradient is about who it is. Asked directly,
the gradient is about nothing else: a small network is taught to tell from latents around a face what the recogniser says of
pictures of that person, and the model's estimate of the clean latents is asked to be told to be the person of the condition. The
same on pixels is known to work (identity loss of PuLID, Guo et al. 2024, eq. 5); latents need neither decoding nor detection.

What it costs. A network that is pleased is not a face that is right: the loss is therefore given a small weight, nothing where an
estimate shows no face yet, and an end well before that of the training, from where on squared error has the last word.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipelines.events import Event
from pipelines.faces.align import REFERENCE, REFERENCE_SIZE, similarity
from pipelines.playground.train.faces.traits import standard_traits
from pipelines.playground.train.optimise import MuonAndAdamW
from pipelines.playground.train.run import Budget, warm_then_cosine
from pipelines.playground.train.teaching import disturb
from pipelines.training.loop import Loop

if TYPE_CHECKING:
    from pipelines.methods.face_training.recorded import RecordedPeople

SIDE = 16
"""Side of its view in cells; as much of the head is seen as in a reference picture."""

EMBEDDING = 512
VISIBLE = 0.8
"""Noise level 0..1 from which on nothing is asked."""

VIEWS = 96
"""People in a step of its training."""

TEMPERATURE = 0.1
DROPOUT = 0.3
TRAITS = 3.0
"""Weight of the traits in the loss."""

PEAK = 2e-3


def placed(landmarks: Tensor, latents: tuple[int, int, int], pixels: tuple[int, int]) -> Tensor:
    """(T', 2, 3): where in each latent frame `aligned` has to look, from -1..1 in its view to -1..1 in the frame.

    Args:
        landmarks: (T, 5, 2) key points in pixels; a latent frame after the first stands for several, whose mean counts.
        latents: T', H', W' of the latents.
        pixels: H, W of the frames.
    """
    first, later = landmarks[:1], landmarks[1:].chunk(latents[0] - 1) if latents[0] > 1 else ()
    middles = torch.cat([first, *(part.mean(0, keepdim=True) for part in later)])
    scale = torch.tensor([2 / pixels[1], 2 / pixels[0]])
    points = ((middles + 0.5) * scale - 1).double().numpy()  # -1..1 over the frame, whose pixel centres are at whole numbers
    view = (REFERENCE + 0.5) * (2 / REFERENCE_SIZE) - 1
    inverse = [np.linalg.inv(np.vstack([similarity(face, view), (0, 0, 1)]))[:2] for face in points]
    return torch.from_numpy(np.stack(inverse)).float()


def aligned(latents: Tensor, places: Tensor) -> Tensor:
    """(T', C, SIDE, SIDE) views of the face in latents (1, C, T', H', W'), looked at where `places` (T', 2, 3) says."""
    frames = latents[0].transpose(0, 1)
    grid = F.affine_grid(places.to(frames), [*frames.shape[:2], SIDE, SIDE], align_corners=False)
    return F.grid_sample(frames, grid, padding_mode="border", align_corners=False)


class LatentRecogniser(nn.Module):
    """Views (B, C, SIDE, SIDE) of faces in latents -> what a recogniser says of pictures of them, (B, 512) of unit length.

    Args:
        channels: of the latents.
        traits: how many traits of a person `tell` says, a training aid as for the recogniser itself.
    """

    def __init__(self, channels: int, traits: int = 0, width: int = 64) -> None:
        super().__init__()
        sizes = [(channels, width, 1), (width, width, 1), (width, 2 * width, 2), (2 * width, 2 * width, 1), (2 * width, 2 * width, 2)]
        self.blocks = nn.Sequential(*(part for size in sizes for part in _layer(*size)), nn.Flatten(), nn.Dropout(DROPOUT))
        self.embed = nn.Linear(2 * width * (SIDE // 4) ** 2, EMBEDDING)
        self.tell = nn.Linear(EMBEDDING, traits)

    def forward(self, views: Tensor) -> Tensor:
        return F.normalize(self.embed(self.blocks(views)), dim=1)

    def disagreement(self, estimate: Tensor, level: float, places: Tensor, embedding: Tensor) -> Tensor:
        """(): 1 - cosine between the face seen in `estimate` (1, C, T', H', W') and `embedding` (512,), less the more noise there was.

        Args:
            level: noise 0..1 of what the estimate was made from; the loss counts 1 - level, and nothing from VISIBLE on.
            places: (T', 2, 3), see `placed`.
        """
        if level >= VISIBLE:
            return estimate.new_zeros(())
        cosine = self(aligned(estimate.float(), places)) @ embedding.to(estimate.device, torch.float32)
        return (1 - level) * (1 - cosine.mean())


def _layer(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(8, outputs), nn.SiLU()]


def train_latent_recogniser(people: RecordedPeople, file: Path, budget: Budget, seed: int = 0) -> Iterator[Event | LatentRecogniser]:
    """A frozen one, last of what is yielded, taught with the shots of `people` as a denoiser's estimates would show them.

    Each step asks of VIEWS people which of them is seen (cross-entropy over cosines with the means of their embeddings), and what
    they are like.

    Args:
        file: its checkpoint.
    """
    album = _Album(people)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LatentRecogniser(people.tensor(0, "0.latents").shape[0], album.traits.shape[1]).to(people.backbone.device)
    optimiser = MuonAndAdamW(model, PEAK, weight_decay=0.05)

    def update(step: int, progress: float) -> float:
        optimiser.set_rate(warm_then_cosine(progress, step, peak=PEAK))
        draw = np.random.default_rng((seed, 31, step))
        with torch.random.fork_rng():
            torch.manual_seed(int(draw.integers(2**62)))
            loss = album.loss(model, draw)
            optimiser.zero_grad()
            loss.backward()
        optimiser.step()
        return loss.item()

    with torch.enable_grad():
        yield from Loop(file, {"model": model, "optimiser": optimiser}, budget).run(update, "learning faces in latents")
    yield model.eval().requires_grad_(False)


class _Album:
    """People whose face is seen in some photograph, with what should be said of them.

    Attributes:
        means: (N, 512) of unit length; traits: (N, D), see `standard_traits`.
    """

    def __init__(self, people: RecordedPeople) -> None:
        self.people = people
        seen = [np.flatnonzero(people.facts(person).similar.max(1) > 0) for person in range(len(people))]
        self.known = [person for person, rows in enumerate(seen) if len(rows)]
        self.means = torch.stack([F.normalize(people.tensor(one, "embeddings")[seen[one]].mean(0), dim=0) for one in self.known])
        self.traits = torch.from_numpy(standard_traits([people.identity(person) for person in self.known]))

    def loss(self, model: LatentRecogniser, draw: np.random.Generator) -> Tensor:
        """Of views of some of them."""
        chosen = draw.choice(len(self.known), min(VIEWS, len(self.known)), replace=False).tolist()
        views = torch.cat([_view(self.people, self.known[one], draw) for one in chosen]).to(self.people.backbone.device)
        said = model(views)
        itself = torch.arange(len(chosen), device=views.device)
        who = F.cross_entropy(said @ self.means[chosen].to(said).T / TEMPERATURE, itself)
        return who + TRAITS * F.mse_loss(model.tell(said * EMBEDDING**0.5), self.traits[chosen].to(said))


def _view(people: RecordedPeople, person: int, draw: np.random.Generator) -> Tensor:
    """(1, C, SIDE, SIDE) of a latent frame of the person, disturbed as estimates are and aligned not quite right."""
    shots = people.facts(person).shots
    shot = int(draw.integers(len(shots)))
    frame = int(draw.integers(shots[shot].frames))
    latents = people.tensor(person, f"{shot}.latents")[None, :, frame : frame + 1].float()
    angle, size = draw.normal() * 0.05, math.exp(draw.normal() * 0.05)
    turn = size * torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    loose = torch.cat([turn, torch.from_numpy(draw.normal(size=(2, 1)) * 0.05).float()], 1)
    place = people.tensor(person, f"{shot}.places")[frame]
    together = place @ torch.cat([loose, torch.tensor([[0.0, 0.0, 1.0]])])
    return aligned(disturb(latents), together[None])
