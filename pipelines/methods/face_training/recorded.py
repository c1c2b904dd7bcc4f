"""What a model's frozen parts and a recogniser say of people, made once and kept on disk: latents, texts, faces and their features."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipelines.errors import UserError
from pipelines.events import Progress
from pipelines.faces import Detector, Recogniser, arcface_crop, choose, reference_crop
from pipelines.methods.face_identity.reference import features_of
from pipelines.methods.face_training.latent_faces import placed
from pipelines.methods.face_training.people import Photograph, Shot, identity_of, photographs_of, shots_of
from pipelines.methods.face_training.words import captions
from pipelines.playground.render import Rendering
from pipelines.playground.scene import WORLD
from pipelines.playground.train.latents import cover, fingerprint

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

CHUNK = 8
"""People in a file."""

BUST = 0.25
"""How far hair, neck and shoulders count as face."""

PHASE = "reading people"

UNSEEN = -1.0
"""Similarity to a picture in which no face is seen."""


@dataclass(frozen=True)
class Eyes:
    """Who looks at photographs: as a person's photograph is looked at later, so that training sees the same mistakes.

    Attributes:
        detector: finds the face.
        recogniser: says whose it is.
        side: of the reference picture, in pixels.
    """

    detector: Detector
    recogniser: Recogniser
    side: int

    def look(self, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Embedding (512,) and reference picture (side, side, 3) uint8 of the face in `picture`; None where there is not just one."""
        try:
            face = choose(self.detector.detect(picture))
            seen = arcface_crop(picture, face.landmarks, self.recogniser.size)
            return self.recogniser.embed(seen[None])[0], reference_crop(picture, face.landmarks, self.side)
        except UserError:
            return None


class ShotFacts(NamedTuple):
    """What is known of a shot without reading it: latent frames, and cells of each."""

    frames: int
    cells: tuple[int, int]


class PersonFacts(NamedTuple):
    """What is known of a person without reading more.

    Attributes:
        shots: of each.
        photographs: number of the shot and origin of each.
        similar: (photographs, shots) similarity -1..1 of the face in the photograph to that in the shot; UNSEEN without one.
    """

    shots: tuple[ShotFacts, ...]
    photographs: tuple[tuple[int, str], ...]
    similar: np.ndarray


class People:
    """`count` people as the frozen parts of one model see them, in files of CHUNK; subclasses say how one is made.

    Args:
        folder: what is there already is not made again, even if another run was interrupted on the way.
        backbone: the model.
    """

    def __init__(self, folder: Path, count: int, backbone: Backbone) -> None:
        self.folder, self.count, self.backbone = folder, count, backbone
        self._open: dict[int, Any] = {}
        self._facts: dict[int, list[PersonFacts]] = {}

    def __len__(self) -> int:
        return self.count

    def make(self, person: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What can be said of person number 0.. in JSON, see `PersonFacts`, and in tensors."""
        raise NotImplementedError

    def file(self, chunk: int) -> Path:
        """Where people from CHUNK * `chunk` on are."""
        return self.folder / f"{chunk:05d}.safetensors"

    def prepare(self) -> Iterator[Progress]:
        """Make what is missing, a chunk at a time; closing the iterator loses the chunk that is being made."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for first in range(0, len(self), CHUNK):
            if self.file(first // CHUNK).exists():
                yield Progress(PHASE, first, len(self), unit="people")
            else:
                yield from self._write(first)
        yield Progress(PHASE, len(self), len(self), unit="people")

    def facts(self, person: int) -> PersonFacts:
        """Of person number 0.."""
        chunk, place = divmod(person, CHUNK)
        if chunk not in self._facts:
            self._facts[chunk] = [_facts(known) for known in json.loads(self._read(chunk).metadata()["people"])]
        return self._facts[chunk][place]

    def tensor(self, person: int, name: str, row: int | None = None) -> Tensor:
        """What is kept of a person under `name`, or one row of it."""
        chunk, place = divmod(person, CHUNK)
        read = self._read(chunk)
        return read.get_tensor(f"{place}.{name}") if row is None else read.get_slice(f"{place}.{name}")[row]

    def keeps(self, person: int, name: str) -> bool:
        """Whether anything is kept of a person under `name`."""
        chunk, place = divmod(person, CHUNK)
        return f"{place}.{name}" in self._read(chunk).keys()  # noqa: SIM118

    def _read(self, chunk: int) -> Any:
        if chunk not in self._open:
            self._open[chunk] = safe_open(self.file(chunk), framework="pt")
        return self._open[chunk]

    def _write(self, first: int) -> Iterator[Progress]:
        values: dict[str, Tensor] = {}
        known = []
        for place in range(min(CHUNK, len(self) - first)):
            yield Progress(PHASE, first + place, len(self), unit="people")
            facts, tensors = self.make(first + place)
            known.append(facts)
            values |= {f"{place}.{name}": value.contiguous() for name, value in tensors.items()}
        partial = self.file(first // CHUNK).with_suffix(f".{os.getpid()}.tmp")
        save_file(values, partial, {"people": json.dumps(known)})
        os.replace(partial, self.file(first // CHUNK))


class RecordedPeople(People):
    """Training people of the world, whole chunks of them.

    Args:
        cache: folder for those of all models.
        count: how many, rounded up.
        backbone: the model.
        eyes: who looks at the photographs.
        first: number of the first person.
    """

    def __init__(self, cache: Path, count: int, backbone: Backbone, eyes: Eyes, first: int = 0) -> None:
        super().__init__(cache / f"world{WORLD}" / f"people-{mark_of(backbone, eyes)}", -(-count // CHUNK) * CHUNK, backbone)
        self.eyes, self.first = eyes, first

    def identity(self, person: int) -> int:
        """The identity's seed of person number 0.."""
        return identity_of(self.first + person)

    def make(self, person: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return record(self.first + person, self.backbone, self.eyes)

    def file(self, chunk: int) -> Path:
        return super().file(self.first // CHUNK + chunk)


def mark_of(backbone: Backbone, eyes: Eyes) -> str:
    """Short, and another for every model, recogniser and size of reference pictures."""
    return f"{fingerprint(backbone.vae)}-{fingerprint(backbone.transformer)}-{eyes.recogniser.name}-{eyes.side}"


def _facts(known: dict[str, Any]) -> PersonFacts:
    shots = tuple(ShotFacts(frames, tuple(cells)) for frames, cells in known["shots"])
    return PersonFacts(shots, tuple(map(tuple, known["photographs"])), np.array(known["similar"]))


def record(person: int, backbone: Backbone, eyes: Eyes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What can be said of a person in JSON, see `PersonFacts`, and in tensors."""
    shots = shots_of(person)
    shown, photographs = [shot.render() for shot in shots], photographs_of(person, shots)
    tensors: dict[str, Tensor] = {}
    for number, (shot, rendering) in enumerate(zip(shots, shown, strict=True)):
        tensors |= {f"{number}.{name}": value for name, value in shot_tensors(shot, rendering, backbone).items()}
    embeddings, pictures = faces_of([photograph.picture(shown) for photograph in photographs], eyes)
    facts = {
        "shots": [(tensors[f"{number}.latents"].shape[1], tensors[f"{number}.latents"].shape[2:]) for number in range(len(shots))],
        "photographs": [(photograph.shot, photograph.origin) for photograph in photographs],
        "similar": similarities(embeddings, photographs, len(shots)).round(4).tolist(),
    }
    features = torch.stack([torch.cat(parts) for parts in features_of(backbone, list(pictures))]).half().cpu()
    return facts, tensors | faces_kept(embeddings, pictures) | {"features": features}  # (photographs, blocks, M, C)


def faces_kept(embeddings: np.ndarray, pictures: np.ndarray) -> dict[str, Tensor]:
    """The same as tensors, zeros for no face."""
    return {"embeddings": torch.from_numpy(np.nan_to_num(embeddings)), "pictures": torch.from_numpy(pictures)}


def shot_tensors(shot: Shot, shown: Rendering, backbone: Backbone) -> dict[str, Tensor]:
    """Of one shot: latents (C, T', H', W'), cover (1, T', H', W') 0..1 of the face in them, places (T', 2, 3), see `placed`, and texts."""
    latents = backbone.encode_video(shown.frames)[0]
    covers = torch.from_numpy(cover(face_masks(shown), latents.shape[1:]))
    places = placed(torch.from_numpy(shown.landmarks[-1]), latents.shape[1:], shown.frames.shape[1:3])
    texts = {}
    for moving in (False, True) if shot.frames > 1 else (False,):
        for name, words in zip(("full", "brief"), captions(shot.scene, moving), strict=True):
            length = min(backbone.count_tokens(words), backbone.text_length)
            texts[f"{name} {'moving' if moving else 'still'}"] = backbone.encode_text([words])[0, :length].half().cpu()
    return {"latents": latents.half().cpu(), "cover": covers, "places": places, **texts}


def face_masks(shown: Rendering) -> np.ndarray:
    """(T, H, W) uint8 0..255: how far a pixel shows the face of the person in front, the rest of whom counts BUST."""
    visible, boxes = shown.masks[-1], shown.faces[-1]
    y, x = np.mgrid[: visible.shape[1], : visible.shape[2]]
    left, top, right, bottom = (boxes[:, side, None, None] for side in range(4))
    inside = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    return np.round(255 * visible * np.where(inside, 1.0, BUST)).astype(np.uint8)


def faces_of(pictures: Sequence[np.ndarray], eyes: Eyes) -> tuple[np.ndarray, np.ndarray]:
    """Of N photographs: embeddings (N, 512), NaN without a face, and reference pictures (N, S, S, 3) uint8, black without one."""
    nobody = np.full(512, np.nan, np.float32), np.zeros((eyes.side, eyes.side, 3), np.uint8)
    seen = [eyes.look(picture) or nobody for picture in pictures]
    embeddings, crops = (np.stack(parts) for parts in zip(*seen, strict=True))
    return embeddings, crops


def similarities(embeddings: np.ndarray, photographs: Sequence[Photograph], shots: int) -> np.ndarray:
    """(photographs, shots): cosine of each photograph's embedding and the mean of those of the shot's own frames."""
    own = np.array([[photograph.shot == shot and photograph.origin == "plain" for photograph in photographs] for shot in range(shots)])
    means = np.stack([embeddings[of].mean(0) for of in own])
    similar = embeddings @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T
    return np.where(np.isfinite(similar), similar, UNSEEN)
