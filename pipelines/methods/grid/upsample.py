"""Cells at the size that is wanted: adapters work at half resolution (Grid composition, section 3.4). torch comes with a network."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError

from pipelines.errors import UserError
from pipelines.files import ANYWHERE
from pipelines.models.adapters import AdapterEntry, find

if TYPE_CHECKING:
    from torch import Tensor

LANCZOS = "lanczos"
PIXELS = 512 * 512
"""Of the frames that a network enlarges together."""

NETWORKS = (
    AdapterEntry(
        name="playground-upsampler",
        title="Playground upsampler",
        description="Comes with the project: twice the size, for the drawn world of the playground only.",
        licence="Same as this project",
        base="playground-wan",
        path="assets/models/playground-upsampler",
    ),
    AdapterEntry(
        name="swin2sr-x2",
        title="Swin2SR, twice the size",
        description="Faithful to what is there; from clean pictures.",
        licence="Apache-2.0",
        base="",
        repo="caidas/swin2SR-classical-sr-x2-64",
    ),
    AdapterEntry(
        name="swin2sr-x4-real",
        title="Swin2SR, four times the size",
        description="Taught with pictures that were damaged as cameras and compression do; sharper, and freer.",
        licence="Apache-2.0",
        base="",
        repo="caidas/swin2SR-realworld-sr-x4-64-bsrgan-psnr",
    ),
)
"""Ours, and such as transformers knows as Swin2SR (Conde et al. 2022). What they lack of the size wanted, Lanczos makes up."""


def check_upsampler(name: str) -> None:
    """Raise NotAvailable unless the network called `name` is on this machine."""
    if name != LANCZOS:
        find(NETWORKS, name, ANYWHERE)


def upsampled(frames: np.ndarray, factor: int, how: str, device: str = "cpu") -> np.ndarray:
    """(T, factor * h, factor * w, 3) uint8 of frames (T, h, w, 3) uint8, by Lanczos or one of NETWORKS; 1 leaves them as they are.

    Raises NotAvailable for a network that is not on this machine.
    """
    height, width = factor * frames.shape[1], factor * frames.shape[2]
    if how != LANCZOS and factor > 1:
        frames = enlarged(frames, find(NETWORKS, how, ANYWHERE), device)
    return lanczos(frames, height, width)


def lanczos(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Frame by frame with Pillow's Lanczos filter; frames of that size are left as they are."""
    from PIL import Image

    if frames.shape[1:3] == (height, width):
        return frames
    return np.stack([np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS)) for frame in frames])


def enlarged(frames: np.ndarray, folder: Path, device: str = "cpu") -> np.ndarray:
    """(T, s * h, s * w, 3) uint8 by the network in `folder`, s its factor; some frames at a time.

    Raises UserError for a folder that holds no such network.
    """
    import torch

    enlarge, many = _open(folder, device), max(1, PIXELS // (frames.shape[1] * frames.shape[2]))
    parts = []
    for at in range(0, len(frames), many):
        values = torch.from_numpy(frames[at : at + many]).to(device).permute(0, 3, 1, 2) / 255
        with torch.no_grad():
            parts.append((enlarge(values).clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(parts)


@lru_cache(maxsize=2)
def _open(folder: Path, device: str) -> Callable[[Tensor], Tensor]:
    """Pictures (B, 3, h, w) 0..1 -> larger ones."""
    from pipelines.playground.upsampler import FILE

    opened = _ours if (folder / FILE).is_file() else _swin2sr
    try:
        return opened(folder, device)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{folder.name} holds no upsampler that can be read: get its files again, or choose Lanczos.") from error


def _ours(folder: Path, device: str) -> Callable[[Tensor], Tensor]:
    from safetensors.torch import load_file

    from pipelines.playground.upsampler import FILE, Upsampler

    network = Upsampler()
    network.load_state_dict(load_file(folder / FILE))  # into float32
    return network.eval().to(device)


def _swin2sr(folder: Path, device: str) -> Callable[[Tensor], Tensor]:
    import torch.nn.functional as F
    from transformers import Swin2SRForImageSuperResolution

    network = Swin2SRForImageSuperResolution.from_pretrained(folder, local_files_only=True, use_safetensors=True).float().eval().to(device)

    def enlarge(pictures: Tensor) -> Tensor:
        down, right = (-side % network.config.window_size for side in pictures.shape[2:])
        height, width = (network.config.upscale * side for side in pictures.shape[2:])
        whole = F.pad(pictures, (0, right, 0, down), mode="replicate")  # it looks at whole windows only
        return network(whole).reconstruction[..., :height, :width]

    return enlarge
