"""Latents of the training clips, encoded once and cached in chunks, and the batches drawn from them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pipelines.playground.scene import Scene, caption, sample_scene
from pipelines.playground.subjects import looks
from pipelines.playground.train.clips import CHUNK, WorldClips
from pipelines.playground.train.reader import indices, said
from pipelines.playground.train.vae import to_tensor

PIXELS = 64 * 64
"""A batch of N means N clips of so many pixels a frame; of larger ones fewer."""

SUBJECTS = 4.0
"""How much more the loss counts where a subject is: of a frame they take a tenth."""

AT_ITS_PLACE = ("still", "spin", "turn", "nod", "talk", "look around")
"""Motions of toys and people that leave their centre where it is."""

OPPOSED = ("left", "right", "rise", "fall")
"""Ways that a single word of the caption tells apart from their opposite."""

OFTEN = 3.0
"""How much more often clips that go one of those ways are drawn: the word counts only while next to nothing can be seen yet."""

FACES = 2.0
"""How much more often clips of people who go no such way are drawn, lest faces be seldom seen from near."""

Encode = Callable[[torch.Tensor], torch.Tensor]
"""Clips (B, 3, T, H, W) in [-1, 1] -> normalised latents (B, C, T', H', W')."""


class LatentSet:
    """Latents, captions and subjects' places of one set of clips, in memory.

    Args:
        clips: the rendered clips.
        encode: the autoencoder's way to latents.
        cache: folder for the latents of this autoencoder.
        batch: clips encoded together.
    """

    def __init__(self, clips: WorldClips, encode: Encode, cache: Path, batch: int = 8) -> None:
        folder = cache / clips.folder.name
        folder.mkdir(parents=True, exist_ok=True)
        self.latents = np.concatenate([self._chunk(clips, encode, folder, index, batch) for index in range(clips.chunks)])
        self.pixels = clips.shape[1] * clips.shape[2]
        self.covers = np.stack([cover(clips.covers(index), self.latents.shape[2:]) for index in range(len(clips))])
        scenes = [sample_scene(clips.seed(index)) for index in range(len(clips))]
        self.looks = [looks(scene.subjects[0]) if len(scene.subjects) == 1 else {} for scene in scenes]
        self.ways = [way(scene) for scene in scenes]
        self.alone = np.flatnonzero(self.ways)
        people = ["expression" in look for look in self.looks]
        self.often = np.where(np.isin(self.ways, OPPOSED), OFTEN, np.where(people, FACES, 1.0))
        self.often /= self.often.sum()
        self.said = {moving: [said(scene, moving=moving) for scene in scenes] for moving in (True, False)}
        self.captions = {moving: [caption(scene, moving=moving) for scene in scenes] for moving in (True, False)}

    def __len__(self) -> int:
        return len(self.latents)

    def told(self, chosen: np.ndarray, names: Mapping[str, list[str]]) -> dict[str, torch.Tensor]:
        """Attribute -> (B,) index in `names` of how the subjects of clips `chosen` look; -1 without it, and where there are several."""
        return {
            name: torch.tensor([values.index(self.looks[int(i)][name]) if name in self.looks[int(i)] else -1 for i in chosen])
            for name, values in names.items()
        }

    def gone(self, chosen: np.ndarray, ways: Sequence[str]) -> torch.Tensor:
        """(B,) index in `ways` of the way the subjects of clips `chosen` go; -1 where there are several."""
        return torch.tensor([ways.index(self.ways[int(i)]) if self.ways[int(i)] else -1 for i in chosen])

    @staticmethod
    def _chunk(clips: WorldClips, encode: Encode, folder: Path, index: int, batch: int) -> np.ndarray:
        file = folder / f"{index:05d}.npy"
        if not file.exists():
            frames = [clips.frames(index * CHUNK + place) for place in range(CHUNK)]
            parts = [encode(to_tensor(np.stack(frames[at : at + batch]))).half().cpu().numpy() for at in range(0, CHUNK, batch)]
            partial = file.with_suffix(f".{os.getpid()}.tmp.npy")
            np.save(partial, np.concatenate(parts))
            os.replace(partial, file)
            print(f"encoding {folder.name}: {(index + 1) * CHUNK}/{len(clips)} clips", flush=True)
        return np.load(file)


class Batch(NamedTuple):
    """What a step is about: latents (B, C, T', H', W'), how far subjects cover them (B, 1, T', H', W') 0..1, captions, and what
    `LatentSet.told` and `LatentSet.gone` say of their subjects, and what the captions say: nothing where they are empty."""

    latents: torch.Tensor
    covers: torch.Tensor
    words: list[str]
    labels: dict[str, torch.Tensor]
    ways: torch.Tensor
    said: dict[str, torch.Tensor]

    def to(self, device: str) -> Batch:
        """The same on another device."""
        labels, said = ({name: places.to(device) for name, places in part.items()} for part in (self.labels, self.said))
        return Batch(self.latents.to(device), self.covers.to(device), self.words, labels, self.ways.to(device), said)


class LatentWorld:
    """Latents of several sets of clips; each batch comes from one of them, drawn in proportion to their sizes.

    Args:
        sets: the clips.
        encode: the autoencoder's way to latents.
        cache: folder for the latents.
        stills: sets of single frames; without them those are the first frames of the clips.
    """

    def __init__(self, sets: Sequence[WorldClips], encode: Encode, cache: Path, stills: Sequence[WorldClips] = (), batch: int = 8) -> None:
        self.clips = [LatentSet(clips, encode, cache, batch) for clips in sets]
        self.stills = [LatentSet(clips, encode, cache, batch) for clips in stills] or self.clips
        self.names = names_of([look for part in (*self.clips, *self.stills) for look in part.looks])
        self.ways = sorted({each for part in self.clips for each in part.ways if each})
        self.readable = names_of([each for part in (*self.clips, *self.stills) for moving in (True, False) for each in part.said[moving]])

    def batch(self, seed: int, step: int, size: int, single: bool) -> Batch:
        """A batch of clips, one in ten without a caption. `single` gives single frames, so many that the work stays that of clips."""
        draw, sets = np.random.default_rng((seed, step)), self.stills if single else self.clips
        weights = np.array([len(part) for part in sets], float)
        part = sets[int(draw.choice(len(sets), p=weights / weights.sum()))]
        frames = slice(1 if single else None)
        count = max(1, round(size * PIXELS / part.pixels)) * (self.clips[0].latents.shape[2] if single else 1)
        chosen = draw.integers(len(part), size=count) if single else draw.choice(len(part), size=count, p=part.often)
        words = ["" if draw.uniform() < 0.1 else part.captions[not single][int(index)] for index in chosen]
        latents, covers = (
            torch.from_numpy(part.latents[chosen].astype(np.float32)),
            torch.from_numpy(part.covers[chosen].astype(np.float32)),
        )
        silent = torch.tensor([not line for line in words])
        labels = {name: places.masked_fill(silent, -1) for name, places in part.told(chosen, self.names).items()}
        ways = part.gone(chosen, self.ways).masked_fill(silent, -1) if not single else torch.full((len(chosen),), -1)
        read = indices(
            [part.said[not single][int(index)] if line else {} for index, line in zip(chosen, words, strict=True)], self.readable
        )
        return Batch(latents[:, :, frames], covers[:, :, frames], words, labels, ways, read)


def way(scene: Scene) -> str:
    """Name of the path of a scene's only subject; "" where there are several. A motion that keeps its place is "still"."""
    motion = scene.subjects[0].motion
    return "" if len(scene.subjects) > 1 else "still" if motion in AT_ITS_PLACE else motion


def names_of(looks: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Attribute -> the names it takes, in alphabetical order."""
    names: dict[str, set[str]] = {}
    for look in looks:
        for attribute, name in look.items():
            names.setdefault(attribute, set()).add(name)
    return {attribute: sorted(values) for attribute, values in names.items()}


def cover(masks: np.ndarray, cells: Sequence[int]) -> np.ndarray:
    """(1, T', H', W') float16 share 0..1 of each latent cell that masks (T, H, W) uint8 cover at some time of its frames.

    The first latent frame stands for the first frame, each further one for as many as the autoencoder folds together.
    """
    small = F.adaptive_avg_pool2d(torch.tensor(masks, dtype=torch.float32) / 255, tuple(cells[1:]))
    later = [part.amax(0) for part in small[1:].chunk(cells[0] - 1)] if cells[0] > 1 else []
    return torch.stack([small[0], *later])[None].half().numpy()


def is_single(step: int, progress: float, until: float, every: int = 5) -> bool:
    """Whether a step is about single frames: all are while `progress` is below `until`, then one in `every`."""
    return progress < until or step % every == every - 1


def near_subjects(error: torch.Tensor, covers: torch.Tensor) -> torch.Tensor:
    """Mean of `error` (B, C, T', H', W'), cells of subjects counted 1 + SUBJECTS times: they are small, and what captions speak of."""
    weight = 1 + SUBJECTS * covers
    return (error * weight).mean() / weight.mean()


def fingerprint(model: nn.Module) -> str:
    """Eight digits that change with the weights, for the name of a cache."""
    total = hashlib.sha256()
    for name, value in model.state_dict().items():
        total.update(name.encode() + value.detach().cpu().float().numpy().tobytes())
    return total.hexdigest()[:8]
