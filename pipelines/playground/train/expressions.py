"""Training of what tells expressions: faces of rendered people, found not quite exactly and damaged as generated video does."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from pipelines.faces.align import arcface_crop
from pipelines.playground.expressions import FILE, SIDE, ExpressionNet
from pipelines.playground.render import render
from pipelines.playground.scene import TRAIN_SEEDS, WORLD, sample_scene
from pipelines.playground.train.augment import blur, coarsen, grain, quantise, tint, zoom
from pipelines.playground.train.export import place, write_recipe
from pipelines.playground.train.optimise import MuonAndAdamW
from pipelines.playground.train.run import Average, Budget, Run, descend, warm_then_cosine
from pipelines.playground.vocabulary import EXPRESSIONS

PEOPLE = 6144
FIRST = 600_000
"""Training seed of the first person, far from what other models are trained on."""

SIDES = (64, 80, 96, 128)
LOOSE = 0.08
"""How far key points are off, in parts of their spread."""

CHUNK = 64
PEAK = 2e-3
NAMES = tuple(EXPRESSIONS)


class Faces:
    """Crops (N, SIDE, SIDE, 3) uint8 of rendered people, and the number of each one's expression (N,); rendered once and kept.

    Args:
        cache: folder.
        count: how many, whole chunks.
    """

    def __init__(self, cache: Path, count: int) -> None:
        folder = cache / f"world{WORLD}" / "expressions"
        folder.mkdir(parents=True, exist_ok=True)
        parts = [_chunk(folder / f"{number:05d}.npz", number) for number in range(-(-count // CHUNK))]
        self.crops, self.said = (np.concatenate([part[name] for part in parts]) for name in ("crops", "said"))

    def batch(self, draw: np.random.Generator, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Crops (size, 3, SIDE, SIDE) 0..1 and expressions (size,); half of the crops are turned round."""
        chosen = draw.integers(len(self.crops), size=size)
        crops = torch.from_numpy(self.crops[chosen]).permute(0, 3, 1, 2).float() / 255
        turned = torch.from_numpy(draw.uniform(size=size) < 0.5)
        return torch.where(turned[:, None, None, None], crops.flip(3), crops), torch.from_numpy(self.said[chosen])


def _chunk(file: Path, number: int) -> dict[str, np.ndarray]:
    if not file.exists():
        pairs = [face_of(FIRST + number * CHUNK + index) for index in range(CHUNK)]
        partial = file.with_suffix(f".{os.getpid()}.tmp.npz")
        np.savez(partial, crops=np.stack([crop for crop, _ in pairs]), said=np.array([said for _, said in pairs]))
        os.replace(partial, file)
    return dict(np.load(file))


def face_of(number: int) -> tuple[np.ndarray, int]:
    """(SIDE, SIDE, 3) uint8 of training person `number`, in the middle of a motion, with key points that are a little off."""
    draw = np.random.default_rng((98, number))
    scene, side = sample_scene(TRAIN_SEEDS[number], "person"), int(draw.choice(SIDES))
    rendering = render(scene, 1, side, side)
    points = rendering.landmarks[-1, 0]
    off = LOOSE * np.ptp(points[:, 0]) * draw.normal(size=points.shape)
    return arcface_crop(rendering.frames[0], points + off, SIDE), NAMES.index(scene.subjects[-1].expression)


def damaged(crops: torch.Tensor) -> torch.Tensor:
    """(B, 3, SIDE, SIDE) 0..1, moved and made worse; see `augment`, for which these are all near already."""
    whole = torch.ones_like(crops[:, :1])
    crops = zoom(torch.cat([crops, whole], 1), near=0.0)[:, :3]
    for damage, chance in ((blur, 0.5), (coarsen, 0.3), (quantise, 0.3), (tint, 0.6), (grain, 0.4)):
        chosen = (torch.rand(len(crops)) < chance).nonzero()[:, 0]
        if len(chosen):
            crops = crops.index_copy(0, chosen, damage(crops[chosen]))
    return crops.clamp(0, 1)


def train_expressions(faces: Faces, folder: Path, budget: Budget, device: str, *, resume: bool = True, seed: int = 0) -> ExpressionNet:
    """The network with averaged weights."""
    torch.manual_seed(seed)
    model = ExpressionNet(len(NAMES)).to(device)
    average, optimiser = Average(model, decay=0.995), MuonAndAdamW(model, PEAK, weight_decay=0.05)
    run = Run(folder, "expressions", {"model": model, "average": average, "optimiser": optimiser}, budget, seed, resume)

    def update(step: int, progress: float) -> float:
        optimiser.set_rate(warm_then_cosine(progress, step, peak=PEAK))
        crops, said = faces.batch(np.random.default_rng((seed, 98, step)), 128)
        loss = F.cross_entropy(model(damaged(crops).to(device) * 2 - 1), said.to(device))
        return descend(loss, model, optimiser, average)

    run.loop(update)
    model.load_state_dict(average.weights)
    return model.cpu().eval()


def main(flags: argparse.Namespace, device: str) -> None:
    """`train expressions`: a file beside the judge's, whose recipe is kept in a folder of its own."""
    faces = Faces(flags.work, flags.clips or PEOPLE)
    model = train_expressions(faces, flags.work / "expressions", Budget.of(flags), device, resume=flags.resume, seed=flags.seed)
    out = flags.out or place("playground-judge")
    weights = {name: value.bfloat16() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    save_file(weights, out / FILE, {"names": " ".join(NAMES)})
    write_recipe(out / "expressions", flags, device, half=False)
