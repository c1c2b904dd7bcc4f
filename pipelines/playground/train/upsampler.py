"""Training of the playground's upsampler: a small network that gives clips of the base model twice their size.

What it is shown is what it will be given: half of the small pictures have been through the autoencoder, which blurs them.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from pipelines.backbones.base import Backbone
from pipelines.playground.render import render
from pipelines.playground.scene import TRAIN_SEEDS, WORLD, sample_scene
from pipelines.playground.train.export import place, write_recipe
from pipelines.playground.train.optimise import MuonAndAdamW
from pipelines.playground.train.run import Average, Budget, Run, descend, warm_then_cosine
from pipelines.playground.upsampler import FILE, Upsampler

BASE = "playground-wan"
SCENES, FIRST, CHUNK = 1536, 650_000, 32
SIDE = 64
"""Of the small pictures."""

CROP = 32
"""Side of what a step sees of a picture."""

PEAK = 2e-3


class Doubles:
    """Pictures of the world in two sizes; rendered once and kept.

    Attributes:
        small: (N, 2, SIDE, SIDE, 3) uint8, as they are and after the autoencoder of `backbone`.
        large: (N, 2 * SIDE, 2 * SIDE, 3) uint8.
    """

    def __init__(self, cache: Path, backbone: Backbone, count: int) -> None:
        folder = cache / f"world{WORLD}" / "doubles"
        folder.mkdir(parents=True, exist_ok=True)
        parts = [self._chunk(folder / f"{number:05d}.npz", number, backbone) for number in range(-(-count // CHUNK))]
        self.small, self.large = (np.concatenate([part[name] for part in parts]) for name in ("small", "large"))

    @staticmethod
    def _chunk(file: Path, number: int, backbone: Backbone) -> dict[str, np.ndarray]:
        if not file.exists():
            pairs = [double_of(TRAIN_SEEDS[FIRST + number * CHUNK + index], backbone) for index in range(CHUNK)]
            partial = file.with_suffix(f".{os.getpid()}.tmp.npz")
            np.savez(partial, small=np.stack([small for small, _ in pairs]), large=np.stack([large for _, large in pairs]))
            os.replace(partial, file)
        return dict(np.load(file))

    def batch(self, draw: np.random.Generator, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Crops (size, 3, CROP, CROP) and (size, 3, 2 * CROP, 2 * CROP), 0..1."""
        chosen, ways = draw.integers(len(self.small), size=size), draw.integers(2, size=size)
        tops, lefts = draw.integers(SIDE - CROP + 1, size=(2, size))
        places = list(zip(chosen, ways, tops, lefts, strict=True))
        small = np.stack([self.small[one, way, top : top + CROP, left : left + CROP] for one, way, top, left in places])
        large = np.stack([self.large[one, 2 * top : 2 * (top + CROP), 2 * left : 2 * (left + CROP)] for one, _, top, left in places])
        first, second = (torch.from_numpy(values).permute(0, 3, 1, 2).float() / 255 for values in (small, large))
        return first, second


def double_of(seed: int, backbone: Backbone) -> tuple[np.ndarray, np.ndarray]:
    """(2, SIDE, SIDE, 3) and (2 * SIDE, 2 * SIDE, 3) uint8: a scene in both sizes, the small one also after the autoencoder."""
    scene = sample_scene(seed)
    small, large = (render(scene, 1, side, side).frames for side in (SIDE, 2 * SIDE))
    return np.concatenate([small, backbone.decode_video(backbone.encode_video(small))]), large[0]


def train_upsampler(
    doubles: Doubles, folder: Path, budget: Budget, device: str, *, batch: int = 8, resume: bool = True, seed: int = 0
) -> Upsampler:
    """The network with averaged weights, taught with the mean absolute error."""
    torch.manual_seed(seed)
    model = Upsampler().to(device)
    average, optimiser = Average(model, decay=0.998), MuonAndAdamW(model, PEAK)
    run = Run(folder, "upsampler", {"model": model, "average": average, "optimiser": optimiser}, budget, seed, resume)

    def update(step: int, progress: float) -> float:
        optimiser.set_rate(warm_then_cosine(progress, step, peak=PEAK))
        small, large = doubles.batch(np.random.default_rng((seed, 99, step)), batch)
        loss = F.l1_loss(model(small.to(device)), large.to(device))
        return descend(loss, model, optimiser, average)

    run.loop(update)
    model.load_state_dict(average.weights)
    return model.cpu().eval()


def main(flags: argparse.Namespace, device: str) -> None:
    """`train upsampler`: for clips of playground-wan."""
    from pipelines.backbones import open_store

    doubles = Doubles(flags.work, open_store().get(BASE), flags.clips or SCENES)
    folder, out = flags.work / "upsampler", flags.out or place("playground-upsampler")
    model = train_upsampler(doubles, folder, Budget.of(flags), device, batch=flags.batch, resume=flags.resume, seed=flags.seed)
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: value.bfloat16() for name, value in model.state_dict().items()}, out / FILE)
    write_recipe(out, flags, device, half=False)
