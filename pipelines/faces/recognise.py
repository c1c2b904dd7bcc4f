"""Who it is, as numbers: aligned faces become unit vectors, close together for one person and far apart for two.

Each recogniser has a space of its own: vectors of different ones say nothing about each other. Which recogniser an adapter was
trained with is therefore a property of the adapter, and `open_recogniser` opens it by that name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pipelines.errors import UserError
from pipelines.faces.align import ARCFACE_SIZE
from pipelines.faces.packs import IR_SE50, ir_se50_file, open_pack, pack

if TYPE_CHECKING:
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX

EMBEDDING = 512
"""Numbers a face."""

BATCH = 32
"""Faces at a time."""


class Recogniser(Protocol):
    """What turns aligned faces into unit vectors."""

    @property
    def name(self) -> str:
        """By which adapters declare it, see `open_recogniser`."""

    @property
    def size(self) -> int:
        """Side of its crops in pixels, see `arcface_crop`."""

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """(N, 512) float32 unit vectors of `crops` (N, size, size, 3) uint8 RGB."""


@dataclass(frozen=True, eq=False)
class PackRecogniser:
    """The recogniser of a pack of insightface, run by onnxruntime.

    Attributes:
        name: of the pack.
        model: as insightface's model zoo opens it.
        size: side of its crops.
    """

    name: str
    model: ArcFaceONNX
    size: int = ARCFACE_SIZE

    @staticmethod
    def open(folder: Path, device: str = "auto") -> PackRecogniser:
        """The recogniser of the pack in `folder`. Raises NotAvailable if there is no pack, UserError if it is damaged or has none."""
        model = open_pack(folder, device).models.get("recognition")
        if model is None:
            raise UserError(f"The face model pack in {folder} holds no recogniser: choose another pack.")
        return PackRecogniser.of(folder, model)

    @staticmethod
    def of(folder: Path, model: ArcFaceONNX) -> PackRecogniser:
        """The recogniser `model`, opened from `folder`. Raises UserError if it wants crops of another size."""
        if tuple(model.input_size) != (ARCFACE_SIZE, ARCFACE_SIZE):
            raise UserError(f"The recogniser in {folder} is not for faces of {ARCFACE_SIZE} px: choose another pack.")
        return PackRecogniser(folder.name, model)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """See `Recogniser.embed`. Raises UserError if the model gives anything but 512 numbers a face."""
        check_crops(crops, self.size)
        batch = 1 if isinstance(self.model.input_shape[0], int) else BATCH
        parts = [self._numbers(crops[start : start + batch]) for start in range(0, len(crops), batch)]
        return unit(np.concatenate([np.zeros((0, EMBEDDING), np.float32), *parts]))

    def _numbers(self, crops: np.ndarray) -> np.ndarray:
        numbers = self.model.get_feat([np.ascontiguousarray(crop[..., ::-1]) for crop in crops])  # insightface wants BGR
        if numbers.shape != (len(crops), EMBEDDING):
            given = " x ".join(str(size) for size in numbers.shape[1:])
            raise UserError(f"The recogniser of {self.name} gives {given} numbers a face instead of {EMBEDDING}: choose another pack.")
        return numbers


def open_recogniser(name: str, device: str = "auto") -> Recogniser:
    """The recogniser called `name`: that of a pack, or `IR_SE50`, which the released weights of Lynx want.

    Raises UserError for an unknown name or damaged files, NotAvailable if it is not on this machine.
    """
    if name.strip().lower() == IR_SE50:
        from pipelines.faces.ir_se50 import TorchRecogniser

        return TorchRecogniser.open(ir_se50_file(), device)
    return PackRecogniser.open(pack(name).find(), device)


def unit(vectors: np.ndarray) -> np.ndarray:
    """(N, D) float32 of length 1; zeros stay zeros."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def check_crops(crops: np.ndarray, size: int) -> None:
    """Raise ValueError unless `crops` are (N, size, size, 3) uint8."""
    if crops.ndim != 4 or crops.shape[1:] != (size, size, 3) or crops.dtype != np.uint8:
        raise ValueError(f"crops must be (N, {size}, {size}, 3) uint8, not {crops.shape} {crops.dtype}")
