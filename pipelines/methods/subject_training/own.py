"""Pairs and clips of one's own as examples, encoded when they are needed or kept on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipelines.events import Progress
from pipelines.methods.subject_adaptation.pictures import fit
from pipelines.methods.subject_training.clip_data import ClipEntry, Size, clip_listing
from pipelines.methods.subject_training.examples import Clips, Pairs
from pipelines.methods.subject_training.pair_data import PairEntry, pair_listing
from pipelines.methods.subject_training.walk import LeftOut, Walk, usable
from pipelines.playground.train.latents import fingerprint

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

HELD_OUT = 8
"""Pairs and clips at the beginning of a listing that are not learnt from, if it has ENOUGH."""

ENOUGH = 4 * HELD_OUT
JITTER = 8
"""One part in so many of a picture's sides is cut off at random (appendix A.2: random-crop jitter per view)."""


class Encoder:
    """Frames to latents; what has been encoded before is read from disk.

    Args:
        cache: folder; None: nothing is kept.
        most: bytes that are kept.
    """

    def __init__(self, backbone: Backbone, cache: Path | None = None, most: int = 20 * 2**30) -> None:
        self.backbone, self.left = backbone, most
        self.folder = cache / f"latents-{fingerprint(backbone.vae)}" if cache else None
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.left -= sum(file.stat().st_size for file in self.folder.iterdir())

    def __call__(self, frames: np.ndarray) -> Tensor:
        """(C, T', H', W') half of frames (T, H, W, 3) uint8."""
        if not self.folder:
            return self._encode(frames)
        key = hashlib.sha256(repr(frames.shape).encode() + np.ascontiguousarray(frames).tobytes()).hexdigest()
        file = self.folder / f"{key}.safetensors"
        try:
            return load_file(file)["latents"]
        except (OSError, SafetensorError, KeyError):
            latents = self._encode(frames)
        if self.left > 0:
            partial_file = file.with_suffix(f".{os.getpid()}.tmp")
            save_file({"latents": latents}, partial_file)
            os.replace(partial_file, file)
            self.left -= file.stat().st_size
        return latents

    def _encode(self, frames: np.ndarray) -> Tensor:
        return self.backbone.encode_video(frames)[0].half().cpu().contiguous()


class OwnExamples:
    """Examples of two folders, see `Source`; what cannot be read is left out, and `notes` says why.

    Args:
        pairs, clips: folders, see `pair_listing` and `clip_listing`; clips None: there are none, for a training without.
        size: of pictures and clips.
        encoder: to latents.
        seed: of the order.
    """

    def __init__(self, pairs: Path, clips: Path | None, size: Size, encoder: Encoder, seed: int = 0) -> None:
        self.size, self.encoder, self.seed, self.left_out = size, encoder, seed, LeftOut()
        self._pairs: Walk[PairEntry] = self._walk(partial(pair_listing, pairs))
        self._clips: Walk[ClipEntry] | None = self._walk(partial(clip_listing, clips)) if clips else None

    def _walk(self, listing: Callable) -> Walk:
        """Without the first ones, if there are enough."""
        count = sum(1 for _ in islice(listing(self.left_out), ENOUGH))
        return Walk(partial(listing, self.left_out), self.seed, HELD_OUT if count == ENOUGH else 0)

    def prepare(self) -> Iterator[Progress]:
        """Nothing: examples are opened when they are needed."""
        return iter(())

    def notes(self) -> tuple[str, ...]:
        """What was left out, and why."""
        return self.left_out.notes()

    def pairs(self, seed: int, number: int, count: int) -> Pairs:
        """See `Source.pairs`."""
        return self._some_pairs(self._pairs, number * count, count, (192, seed, number))

    def clips(self, seed: int, number: int, count: int) -> Clips:
        """See `Source.clips`; the pictures' own where there are no clips."""
        if self._clips is None:
            return self._resting(self.pairs(seed, number, count))
        return self._some_clips(self._clips, number * count, count, (193, seed, number))

    def held_out(self, count: int) -> tuple[Pairs, Clips]:
        """See `Source.held_out`; where there are too few to spare, they are learnt from as well."""
        pairs = Walk(self._pairs.listing, 0, block=HELD_OUT)
        batch = self._some_pairs(pairs, 0, min(count, HELD_OUT), (194,))
        if self._clips is None:
            return batch, self._resting(batch)
        return batch, self._some_clips(Walk(self._clips.listing, 0, block=HELD_OUT), 0, min(count, HELD_OUT), (195,))

    def _some_pairs(self, walk: Walk[PairEntry], first: int, count: int, seed: tuple[int, ...]) -> Pairs:
        parts = []
        for number in range(first, first + count):
            draw = np.random.default_rng((*seed, number))
            pair = usable(walk, number, lambda entry, draw=draw: entry.read(draw), self.left_out)
            views = (self.encoder(jittered(picture, self.size, draw)[None]) for picture in (pair.reference, pair.target))
            parts.append((*views, self._text(pair.prompt)))
        return Pairs(*(torch.stack(part) for part in zip(*parts, strict=True)))

    def _some_clips(self, walk: Walk[ClipEntry], first: int, count: int, seed: tuple[int, ...]) -> Clips:
        parts = []
        for number in range(first, first + count):
            frames, caption = usable(walk, number, lambda entry: (entry.read(self.size), entry.caption), self.left_out)
            moment = int(np.random.default_rng((*seed, number)).integers(len(frames)))
            single = torch.stack([self.encoder(frames[[place]]) for place in (0, moment)])
            parts.append((self.encoder(frames), self._text(caption), single))
        return Clips(*(torch.stack(part) for part in zip(*parts, strict=True)))

    def _text(self, prompt: str) -> Tensor:
        return self.encoder.backbone.encode_text([prompt])[0].half().cpu()

    @staticmethod
    def _resting(pairs: Pairs) -> Clips:
        return Clips(pairs.target, pairs.text, pairs.target[:, None].repeat(1, 2, 1, 1, 1, 1))


def jittered(picture: np.ndarray, size: Size, draw: np.random.Generator) -> np.ndarray:
    """(height, width, 3) uint8: the middle of `picture` (H, W, 3) in that shape, cut at random by one part in JITTER."""
    height, width = size.height + size.height // JITTER, size.width + size.width // JITTER
    top, left = (int(draw.integers(large - small + 1)) for large, small in ((height, size.height), (width, size.width)))
    return fit(picture, height, width)[top : top + size.height, left : left + size.width]
