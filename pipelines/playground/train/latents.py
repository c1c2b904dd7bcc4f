"""Latents of the training clips, encoded once and cached in chunks, and the batches drawn from them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pipelines.playground.scene import caption, sample_scene
from pipelines.playground.train.clips import CHUNK, WorldClips
from pipelines.playground.train.vae import to_tensor

PIXELS = 64 * 64
"""A batch of N means N clips of so many pixels a frame; of larger ones fewer."""

Encode = Callable[[torch.Tensor], torch.Tensor]
"""Clips (B, 3, T, H, W) in [-1, 1] -> normalised latents (B, C, T', H', W')."""


class LatentSet:
    """Latents and captions of one set of clips, in memory.

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
    """Latents of several sets of clips; each batch comes from one of them, drawn in proportion to their sizes."""

    def __init__(self, sets: Sequence[WorldClips], encode: Encode, cache: Path, batch: int = 8) -> None:
        self.sets = [LatentSet(clips, encode, cache, batch) for clips in sets]
        self.pixels = [clips.shape[1] * clips.shape[2] for clips in sets]

    def batch(self, seed: int, step: int, size: int, single: bool) -> tuple[torch.Tensor, list[str]]:
        """(B, C, T', H', W') latents and their captions, one caption in ten empty; `single` gives first frames, four times as many."""
        draw = np.random.default_rng((seed, step))
        weights = np.array([len(part) for part in self.sets], float)
        which = int(draw.choice(len(self.sets), p=weights / weights.sum()))
        part, count = self.sets[which], max(1, round(size * PIXELS / self.pixels[which])) * (4 if single else 1)
        chosen = draw.integers(len(part), size=count)
        latents = torch.from_numpy(part.latents[chosen].astype(np.float32))
        words = ["" if draw.uniform() < 0.1 else part.captions[not single][int(index)] for index in chosen]
        return latents[:, :, :1] if single else latents, words


def fingerprint(model: nn.Module) -> str:
    """Eight digits that change with the weights, for the name of a cache."""
    total = hashlib.sha256()
    for name, value in model.state_dict().items():
        total.update(name.encode() + value.detach().cpu().float().numpy().tobytes())
    return total.hexdigest()[:8]
