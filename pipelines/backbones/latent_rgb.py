"""Looking at latents without the decoder: a linear map from latent channels to colours, or false colours without one."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.errors import UserError

FILE = "latent_rgb.json"
RIDGE = 1e-3  # keeps the fit sane on a clip of few colours


@dataclass(frozen=True)
class LatentRGB:
    """rgb in 0..1 = latent @ weight + bias; weight (C, 3), bias (3,)."""

    weight: np.ndarray
    bias: np.ndarray

    def __call__(self, latents: np.ndarray) -> np.ndarray:
        """latents (C, T', H', W') float -> (T', H', W', 3) uint8 RGB."""
        return _to_uint8(np.moveaxis(latents, 0, -1) @ self.weight + self.bias)

    def save(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(json.dumps({"weight": self.weight.tolist(), "bias": self.bias.tolist()}))
        os.replace(draft, path)


def read(path: Path, channels: int) -> LatentRGB | None:
    """The map stored in `path`, or None if there is none. Raises UserError naming a file that does not fit."""
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text())
        weight, bias = np.asarray(data["weight"], np.float32), np.asarray(data["bias"], np.float32)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read: delete it, and the colours of previews are learnt again.") from error
    if weight.shape != (channels, 3) or bias.shape != (3,) or not np.isfinite([weight.sum(), bias.sum()]).all():
        raise UserError(f"{path} does not fit this model: delete it, and the colours of previews are learnt again.")
    return LatentRGB(weight, bias)


def fit(latents: np.ndarray, frames: np.ndarray) -> LatentRGB:
    """Least squares (with a little ridge) from latents (C, T', H', W') to the frames (T, H, W, 3) uint8 that they decode to."""
    inputs = latents.reshape(len(latents), -1).T.astype(np.float64)  # (positions, C)
    targets = _shrink(frames, latents.shape[1:]).reshape(-1, 3)
    centre, mean = inputs.mean(0), targets.mean(0)
    inputs = inputs - centre
    gram = inputs.T @ inputs
    gram += np.eye(len(gram)) * (RIDGE * np.trace(gram) / len(gram) + 1e-9)
    weight = np.linalg.solve(gram, inputs.T @ (targets - mean))
    return LatentRGB(weight.astype(np.float32), (mean - centre @ weight).astype(np.float32))


def false_colour(latents: np.ndarray) -> np.ndarray:
    """Without a map: the three principal components of latents (C, T', H', W') as colours, (T', H', W', 3) uint8.

    Each component's sign is fixed by its largest weight, so that colours do not flip from step to step.
    """
    inputs = latents.reshape(len(latents), -1).T.astype(np.float64)
    inputs = inputs - inputs.mean(0)
    axes = np.linalg.eigh(inputs.T @ inputs)[1][:, ::-1][:, :3]  # (C, <= 3), strongest first
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), range(axes.shape[1])])
    parts = inputs @ np.pad(axes, ((0, 0), (0, 3 - axes.shape[1])))
    low, high = np.percentile(parts, [2, 98], axis=0)
    return _to_uint8(((parts - low) / np.maximum(high - low, 1e-6)).reshape(*latents.shape[1:], 3))


def _shrink(frames: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """frames (T, H, W, 3) uint8 -> (T', H', W', 3) float 0..1: the first latent frame is the first frame, each later one a mean."""
    count, height, width = grid
    rows, columns = frames.shape[1] // height, frames.shape[2] // width
    small = frames[:, : height * rows, : width * columns].astype(np.float64) / 255
    small = small.reshape(len(frames), height, rows, width, columns, 3).mean((2, 4))
    groups = [small[:1], *np.array_split(small[1:], max(count - 1, 1))][:count]
    return np.stack([group.mean(0) for group in groups])


def _to_uint8(colours: np.ndarray) -> np.ndarray:
    return (np.clip(colours, 0, 1) * 255).round().astype(np.uint8)
