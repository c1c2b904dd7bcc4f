"""What the frozen parts of a model say of the playground's toys and clips, made once and kept on disk."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipelines.events import Progress
from pipelines.methods.subject_training.examples import Clips, Pairs
from pipelines.methods.subject_training.world import VIEWS, clip_of, views_of
from pipelines.playground.scene import WORLD
from pipelines.playground.train.latents import cover, fingerprint

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

TOYS, CLIPS = 2048, 640
CHUNK = 8
"""Toys or clips in a file."""

HELD_OUT = 16
"""Toys and clips that the gradients are looked at with, and that are not learnt from."""

BRIEF = 0.8
"""How often the prompt says nothing of colour and pattern."""


class Recorded:
    """`count` things (whole chunks), each some tensors by name.

    Args:
        folder: of the files; what is there already is not made again, even if another run was interrupted on the way.
        make: number -> tensors.
    """

    def __init__(self, folder: Path, count: int, make: Callable[[int], Mapping[str, Tensor]]) -> None:
        self.folder, self.make, self.chunks = folder, make, -(-count // CHUNK)
        folder.mkdir(parents=True, exist_ok=True)
        self._open: dict[int, Any] = {}

    def __len__(self) -> int:
        return self.chunks * CHUNK

    def prepare(self, phase: str) -> Iterator[Progress]:
        """Make what is missing, a chunk at a time; closing the iterator loses the chunk that is being made."""
        for chunk in range(self.chunks):
            yield Progress(phase, chunk * CHUNK, len(self), unit="examples")
            if not self._file(chunk).exists():
                self._write(chunk)
        yield Progress(phase, len(self), len(self), unit="examples")

    def tensor(self, number: int, name: str, row: int | None = None) -> Tensor:
        """What is kept under `name`, or one row of it."""
        file, key = self._read(number // CHUNK), f"{number % CHUNK}.{name}"
        return file.get_tensor(key) if row is None else file.get_slice(key)[row]

    def shape(self, number: int, name: str) -> tuple[int, ...]:
        """Of a tensor, without reading it."""
        return tuple(self._read(number // CHUNK).get_slice(f"{number % CHUNK}.{name}").get_shape())

    def _file(self, chunk: int) -> Path:
        return self.folder / f"{chunk:05d}.safetensors"

    def _read(self, chunk: int) -> Any:
        if chunk not in self._open:
            self._open[chunk] = safe_open(self._file(chunk), framework="pt")
        return self._open[chunk]

    def _write(self, chunk: int) -> None:
        made = {place: self.make(chunk * CHUNK + place) for place in range(CHUNK)}
        values = {f"{place}.{name}": value.contiguous() for place, parts in made.items() for name, value in parts.items()}
        partial = self._file(chunk).with_suffix(f".{os.getpid()}.tmp")
        save_file(values, partial)
        os.replace(partial, self._file(chunk))


class RecordedWorld:
    """Toys and clips of the playground as examples, see `Source`; the last HELD_OUT of each are not learnt from.

    Args:
        cache: folder.
        backbone: the model whose frozen parts look at them.
        toys, clips: how many, HELD_OUT among them.
        brief: how often the prompt leaves out what a toy looks like.
    """

    def __init__(self, cache: Path, backbone: Backbone, toys: int = TOYS, clips: int = CLIPS, brief: float = BRIEF) -> None:
        folder = cache / f"world{WORLD}" / f"subjects-{fingerprint(backbone.vae)}-{fingerprint(backbone.pipeline.text_encoder)}"
        self.toys = Recorded(folder / "toys", toys, lambda number: toy_tensors(number, backbone))
        self.shots = Recorded(folder / "clips", clips, lambda number: clip_tensors(number, backbone))
        self.brief = brief
        self._sizes: dict[Recorded, dict[tuple[int, ...], list[int]]] = {}

    def prepare(self) -> Iterator[Progress]:
        """Make what is missing."""
        yield from self.toys.prepare("drawing toys")
        yield from self.shots.prepare("drawing clips")

    def notes(self) -> tuple[str, ...]:
        """Everything that is drawn can be used."""
        return ()

    def pairs(self, seed: int, number: int, count: int) -> Pairs:
        """See `Source.pairs`; `count` of the smallest size, of larger ones so many that the work stays the same."""
        draw = np.random.default_rng((184, seed, number))
        return self._pairs(self._some(self.toys, draw, count), draw)

    def clips(self, seed: int, number: int, count: int) -> Clips:
        """See `Source.clips`; `count` as for `pairs`."""
        draw = np.random.default_rng((185, seed, number))
        return self._clips(self._some(self.shots, draw, count))

    def held_out(self, count: int) -> tuple[Pairs, Clips]:
        """See `Source.held_out`; of the smallest size."""
        draw = np.random.default_rng(186)
        toys, shots = (_smallest(part, range(len(part) - HELD_OUT, len(part)))[:count] for part in (self.toys, self.shots))
        return self._pairs(toys, draw), self._clips(shots)

    def _some(self, part: Recorded, draw: np.random.Generator, count: int) -> list[int]:
        """Numbers of examples of one size, which is drawn in proportion to how many have it."""
        if part not in self._sizes:
            self._sizes[part] = _by_size(part, range(len(part) - HELD_OUT))
        sizes = self._sizes[part]
        weights = np.array([len(numbers) for numbers in sizes.values()], float)
        size = list(sizes)[int(draw.choice(len(sizes), p=weights / weights.sum()))]
        fewer = max(1, round(count * np.prod(min(sizes)) / np.prod(size)))
        return [sizes[size][int(place)] for place in draw.integers(len(sizes[size]), size=fewer)]

    def _pairs(self, toys: list[int], draw: np.random.Generator) -> Pairs:
        views = [draw.choice(VIEWS, 2, replace=False).tolist() for _ in toys]
        words = ["brief" if draw.uniform() < self.brief else "full" for _ in toys]
        chosen = list(zip(toys, views, words, strict=True))
        return Pairs(
            reference=torch.stack([self.toys.tensor(toy, "latents", seen[0]) for toy, seen, _ in chosen]),
            target=torch.stack([self.toys.tensor(toy, "latents", seen[1]) for toy, seen, _ in chosen]),
            text=torch.stack([self.toys.tensor(toy, name, seen[1]) for toy, seen, name in chosen]),
            cover=torch.stack([self.toys.tensor(toy, "cover", seen[1]) for toy, seen, _ in chosen]),
            reference_cover=torch.stack([self.toys.tensor(toy, "cover", seen[0]) for toy, seen, _ in chosen]),
        )

    def _clips(self, shots: list[int]) -> Clips:
        target, text, frames, covers = (
            torch.stack([self.shots.tensor(shot, name) for shot in shots]) for name in ("latents", "text", "frames", "cover")
        )
        return Clips(target, text, frames, covers)


def _by_size(part: Recorded, numbers: range) -> dict[tuple[int, ...], list[int]]:
    """(H', W') -> numbers of the examples of that size."""
    sizes: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number in numbers:
        sizes[part.shape(number, "latents")[-2:]].append(number)
    return dict(sizes)


def _smallest(part: Recorded, numbers: range) -> list[int]:
    sizes = _by_size(part, numbers)
    return sizes[min(sizes)]


def toy_tensors(toy: int, backbone: Backbone) -> dict[str, Tensor]:
    """Of the views V of a toy: latents (V, C, 1, H', W'), cover (V, 1, 1, H', W') of the toy, text states brief and full (V, L, D).

    States are kept with those of the padding, which CogVideoX reads like any other.
    """
    views = views_of(toy)
    latents = torch.stack([backbone.encode_video(view.frames)[0] for view in views])
    covers = np.stack([cover(np.round(view.masks * 255).astype(np.uint8), latents.shape[2:]) for view in views])
    full, brief = (backbone.encode_text([view.words[way] for view in views]) for way in range(2))
    values = {"latents": latents, "cover": torch.from_numpy(covers), "full": full, "brief": brief}
    return {name: value.half().cpu() for name, value in values.items()}


def clip_tensors(number: int, backbone: Backbone) -> dict[str, Tensor]:
    """Of a clip: latents (C, T', H', W'), cover (1, T', H', W'), frames (K, C, 1, H', W') encoded alone, text (L, D)."""
    clip = clip_of(number)
    latents = backbone.encode_video(clip.frames)[0]
    values = {
        "latents": latents,
        "cover": torch.from_numpy(cover(np.round(clip.masks * 255).astype(np.uint8), latents.shape[1:])),
        "frames": torch.stack([backbone.encode_video(clip.frames[[moment]])[0] for moment in clip.moments]),
        "text": backbone.encode_text([clip.words])[0],
    }
    return {name: value.half().cpu() for name, value in values.items()}
