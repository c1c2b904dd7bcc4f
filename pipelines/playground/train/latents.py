"""Latents of the training clips, encoded once and cached in chunks, and the batches drawn from them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pipelines.playground.scene import caption, sample_scene
from pipelines.playground.train.clips import CHUNK, WorldClips
from pipelines.playground.train.vae import to_tensor

PIXELS = 64 * 64
"""A batch of N means N clips of so many pixels a frame; of larger ones fewer."""

STILLS_UNTIL = 0.4
"""Share of the training that is about single frames only: five times as many pictures in the same time, for shapes and colours."""

SUBJECTS = 4.0
"""How much more the loss counts where a subject is: of a frame they take a tenth."""

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
        self.captions = {moving: [caption(scene, moving=moving) for scene in scenes] for moving in (True, False)}

    def __len__(self) -> int:
        return len(self.latents)

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

    def batch(self, seed: int, step: int, size: int, single: bool) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
        """(B, C, T', H', W') latents, (B, 1, T', H', W') how far subjects cover them, 0..1, and captions, one in ten empty.

        `single` gives single frames, so many that the work stays that of clips.
        """
        draw, sets = np.random.default_rng((seed, step)), self.stills if single else self.clips
        weights = np.array([len(part) for part in sets], float)
        part = sets[int(draw.choice(len(sets), p=weights / weights.sum()))]
        frames = slice(1 if single else None)
        count = max(1, round(size * PIXELS / part.pixels)) * (self.clips[0].latents.shape[2] if single else 1)
        chosen = draw.integers(len(part), size=count)
        words = ["" if draw.uniform() < 0.1 else part.captions[not single][int(index)] for index in chosen]
        latents, covers = (
            torch.from_numpy(part.latents[chosen].astype(np.float32)),
            torch.from_numpy(part.covers[chosen].astype(np.float32)),
        )
        return latents[:, :, frames], covers[:, :, frames], words


def cover(masks: np.ndarray, cells: Sequence[int]) -> np.ndarray:
    """(1, T', H', W') float16 share 0..1 of each latent cell that masks (T, H, W) uint8 cover at some time of its frames.

    The first latent frame stands for the first frame, each further one for as many as the autoencoder folds together.
    """
    small = F.adaptive_avg_pool2d(torch.tensor(masks, dtype=torch.float32) / 255, tuple(cells[1:]))
    later = [part.amax(0) for part in small[1:].chunk(cells[0] - 1)] if cells[0] > 1 else []
    return torch.stack([small[0], *later])[None].half().numpy()


def is_single(step: int, progress: float) -> bool:
    """Whether a step is about single frames: at first all are, then every fifth."""
    return progress < STILLS_UNTIL or step % 5 == 4


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
