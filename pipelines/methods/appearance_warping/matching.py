"""How well features of each layer find the same place of a subject in another picture (V-Warper, appendix B.1), on the world.

The paper takes matches of another model as truth; the world knows them exactly: both pictures are renderings of one held-out
instance, the target in motion, and the same place has the same surface coordinates. The target stands for the generation: its
latents with seeded noise at the level of a step. The reference is inverted, as in the method.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial import cKDTree
from torch import Tensor

from pipelines.attention.correspondence import match
from pipelines.attention.edits import recording
from pipelines.backbones.inversion import invert
from pipelines.evaluation.metrics import pck
from pipelines.evaluation.rows import Row
from pipelines.methods.appearance_warping.reference import Descriptor, reference_clip
from pipelines.playground.render import Rendering, render
from pipelines.playground.scene import HELD_OUT_SEEDS, Scene, caption, still
from pipelines.playground.train.stills import FAMILY, family
from pipelines.video.times import times_of

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

NAMES = {"plain": "query and key before RoPE", "rotated": "query and key after RoPE", "output": "output of the layer"}
STEPS = 50
AT_STEPS = (10, 20, 30, 40)
ALPHAS = (0.05, 0.1)
SAME_PLACE = 0.15
"""Distance in surface coordinates (a subject measures about 2) up to which two places count as one: else it is not in the other picture."""

Scores = dict[tuple[Descriptor, int, float], float]
"""(descriptor, layer, alpha) -> PCK."""


@dataclass(frozen=True)
class Pair:
    """A picture and a clip of one instance.

    Attributes:
        reference: (H, W, 3) uint8; target: (T, H, W, 3) uint8 with `words` for it.
        truth: (T', h * w, 2) pixel (x, y) in the reference of what each token's middle shows; NaN where it is not the subject
            or not to be seen in the reference.
    """

    reference: np.ndarray
    target: np.ndarray
    words: str
    truth: np.ndarray


def held_out_pairs(backbone: Backbone, count: int, frames: int, height: int, width: int) -> Iterator[Pair]:
    """The first `count` held-out families of one instance each whose clips have tokens with a truth."""
    found, seeds = 0, iter(range(0, len(HELD_OUT_SEEDS), FAMILY))
    while found < count:
        first, second, *_ = family(HELD_OUT_SEEDS[next(seeds)])
        if getattr(first.subjects[-1], "emblem", None) is None or len(first.subjects) > 1:
            continue
        pair = make_pair(backbone, first, second, frames, height, width)
        if np.isfinite(pair.truth).any():
            found += 1
            yield pair


def make_pair(backbone: Backbone, reference: Scene, target: Scene, frames: int, height: int, width: int) -> Pair:
    """The first scene at rest and the second in motion, which show one subject."""
    rest, clip = render(still(reference), 1, height, width), render(target, frames, height, width)
    grid = backbone.tokens(backbone.initial_noise(frames, height, width, 0)).grid
    return Pair(rest.frames[0], clip.frames, caption(target), truth_of(rest, clip, grid))


def truth_of(reference: Rendering, clip: Rendering, grid: tuple[int, int, int]) -> np.ndarray:
    """See `Pair`. A latent frame is asked about the middle one of the frames that it stands for."""
    surface = reference.surface[-1, 0]
    rows, columns = np.nonzero(np.isfinite(surface[..., 0]))
    truth = np.full((grid[0], grid[1] * grid[2], 2), np.nan)
    if not len(rows):
        return truth
    tree, places = cKDTree(surface[rows, columns]), np.stack([columns, rows], 1) + 0.5
    middles = centres(grid, clip.frames.shape[1:3]).astype(int)
    for frame, time in enumerate(times_of(len(clip.frames), grid[0])):
        seen = clip.surface[-1, time][middles[:, 1], middles[:, 0]]
        there = np.isfinite(seen[:, 0])
        distance, nearest = tree.query(seen[there])
        truth[frame, there] = np.where((distance <= SAME_PLACE)[:, None], places[nearest], np.nan)
    return truth


def centres(grid: tuple[int, int, int], size: tuple[int, int]) -> np.ndarray:
    """(h * w, 2) pixel (x, y) of the tokens' middles in a frame of `size` = (H, W)."""
    down, right = np.meshgrid(np.arange(grid[1]) + 0.5, np.arange(grid[2]) + 0.5, indexing="ij")
    return np.stack([right.ravel() * size[1] / grid[2], down.ravel() * size[0] / grid[1]], 1)


@torch.no_grad()
def pck_of_layers(backbone: Backbone, pair: Pair, alphas: Sequence[float] = ALPHAS, seed: int = 0) -> Scores:
    """Share 0..1 of the tokens with a truth that are matched rightly, over AT_STEPS."""
    clean, own = backbone.encode_video(pair.target), backbone.encode_video(reference_clip(pair.reference, len(pair.target)))
    text, grid, schedule = backbone.encode_text([pair.words]), backbone.tokens(clean).grid, backbone.schedule(STEPS, clean)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed)).to(clean.device)
    trajectory = {index: latents for index, latents in invert(backbone, own, schedule, text) if index in AT_STEPS}
    middles, size = centres(grid, pair.target.shape[1:3]), max(pair.target.shape[1:3])
    truth, right = pair.truth.reshape(-1, 2), {}
    for index, inverted in trajectory.items():
        noisy = schedule.level(index).mix(clean, noise).to(clean.dtype)
        here, there = (features_of(backbone, latents, schedule.timesteps[index], text) for latents in (noisy, inverted))
        for which, pair_of_features in here.items():
            found = middles[match(*pair_of_features, *there[which], grid).to_reference.cpu().numpy()].reshape(-1, 2)
            for alpha in alphas:
                right.setdefault((*which, alpha), []).append(pck(found, truth, size, alpha))
    return {which: float(np.concatenate(parts).mean()) for which, parts in right.items()}


def features_of(backbone: Backbone, latents: Tensor, timestep: Tensor, text: Tensor) -> dict[tuple[Descriptor, int], tuple[Tensor, Tensor]]:
    """(descriptor, layer) -> what a forward pass matches as query and as key, (N, C) each, video tokens only."""
    layout, blocks, found = backbone.tokens(latents), backbone.blocks(), {}
    with ExitStack() as stack:
        kept = [stack.enter_context(recording(blocks, what, layout)) for what in ("query", "key", "output")]
        backbone.denoise(latents, timestep, text)
        for layer in range(len(blocks)):
            query, key, output = (part.latest(layer) for part in kept)
            unit = F.normalize(output.float(), dim=-1)
            turned = [backbone.rotate(part, latents) for part in (query, key)]
            for name, pair in (("plain", (query, key)), ("rotated", turned), ("output", (unit, unit))):
                found[name, layer] = tuple(part[0, layout.text :] for part in pair)
    return found


def best_possible(pair: Pair, grid: tuple[int, int, int], alpha: float) -> float:
    """Share of the tokens that the nearest token of the reference would match rightly: the grid itself is coarse."""
    truth = pair.truth.reshape(-1, 2)
    truth, middles = truth[np.isfinite(truth).all(1)], centres(grid, pair.target.shape[1:3])
    return float(pck(middles[cKDTree(middles).query(truth)[1]], truth, max(pair.target.shape[1:3]), alpha).mean())


def rows(backbone: Backbone, name: str, count: int, shape: tuple[int, int, int]) -> Iterator[Row]:
    """PCK by descriptor and layer over `count` held-out pairs of `shape` = (frames, height, width)."""
    results: list[Scores] = []
    ceilings: dict[float, list[float]] = {alpha: [] for alpha in ALPHAS}
    grid = backbone.tokens(backbone.initial_noise(*shape, 0)).grid
    for pair in held_out_pairs(backbone, count, *shape):
        results.append(pck_of_layers(backbone, pair))
        for alpha in ALPHAS:
            ceilings[alpha].append(best_possible(pair, grid, alpha))
    for alpha in ALPHAS:
        yield Row.of(f"{name}: PCK@{alpha:g} of a perfect match on this grid", ceilings[alpha])
        for descriptor in get_args(Descriptor):
            for layer in range(len(backbone.blocks())):
                values = [result[descriptor, layer, alpha] for result in results]
                yield Row.of(f"{name}: PCK@{alpha:g}, {descriptor}, layer {layer}", values)


def draw_curves(rows: Sequence[Row], folder: Path) -> None:
    """Write `folder`/pck-MODEL.png: PCK over the layers, a curve with its standard error for each descriptor (as Fig. 4)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves: dict[tuple[str, str], dict[str, dict[int, Row]]] = {}
    for row in rows:
        if found := re.fullmatch(r"(.+): PCK@(.+), (.+), layer (\d+)", row.name):
            model, alpha, descriptor, layer = found.groups()
            curves.setdefault((model, alpha), {}).setdefault(descriptor, {})[int(layer)] = row
    for model in {model for model, _ in curves}:
        alphas = sorted(alpha for name, alpha in curves if name == model)
        figure = Figure(figsize=(5.5 * len(alphas), 4), layout="constrained")
        for place, alpha in enumerate(alphas):
            axes = figure.add_subplot(1, len(alphas), place + 1, xlabel="layer", ylabel=f"PCK@{alpha}", title=model)
            for descriptor, points in curves[model, alpha].items():
                layers = sorted(points)
                axes.errorbar(
                    layers, [points[layer].value for layer in layers], [points[layer].standard_error or 0 for layer in layers],
                    label=NAMES[descriptor], capsize=2,
                )  # fmt: skip
            axes.legend()
            axes.grid(alpha=0.3)
        FigureCanvasAgg(figure).print_png(folder / f"pck-{Path(model).name}.png")
