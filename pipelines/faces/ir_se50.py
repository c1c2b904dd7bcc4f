"""ArcFace's IR-SE50 in torch, with the names and shapes of facexlib's `recognition_arcface_ir_se50.pth`.

A ResNet-50 of "improved residual" units (Deng et al. 2019, arXiv 1801.07698, section 3.2.2) with squeeze and excitation (Hu et
al. 2018, arXiv 1709.01507). 43.8 million parameters. What a crop of 112 x 112 px becomes:

    input_layer   64 x 112 x 112    convolution, batch normalisation, PReLU
    body.0-2      64 x  56 x  56    3 units, the first of each stage with stride 2
    body.3-6     128 x  28 x  28    4
    body.7-20    256 x  14 x  14    14
    body.21-23   512 x   7 x   7    3
    output_layer 512                batch normalisation, dropout, one linear layer over all places, batch normalisation
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pipelines.errors import NotAvailable, UserError
from pipelines.faces.align import ARCFACE_SIZE
from pipelines.faces.packs import IR_SE50, IR_SE50_FILE
from pipelines.faces.recognise import EMBEDDING, check_crops

STAGES = ((64, 64, 3), (64, 128, 4), (128, 256, 14), (256, 512, 3))
"""(channels in, channels out, units) of each stage."""

SQUEEZE = 16
"""Channels for each of those that squeeze and excitation thinks with."""

PLACES = 7
"""Side of what the body leaves of a crop."""

BATCH = 16
"""Faces at a time."""

COUNTS = "num_batches_tracked"
"""Of no use here, and older files lack them."""


class IRSE50(nn.Module):
    """(N, 3, 112, 112) float BGR in -1..1 -> (N, 512) unit vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(convolution(3, 64), nn.BatchNorm2d(64), nn.PReLU(64))
        self.body = nn.Sequential(*(Unit(*shape) for stage in STAGES for shape in units(*stage)))
        flat = STAGES[-1][1] * PLACES**2
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(STAGES[-1][1]), nn.Dropout(0.6), nn.Flatten(), nn.Linear(flat, EMBEDDING), nn.BatchNorm1d(EMBEDDING)
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return F.normalize(self.output_layer(self.body(self.input_layer(pixels))), dim=1)


class Unit(nn.Module):
    """x, made smaller where the stride or the channels ask for it, plus what two convolutions say about it."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        same = inputs == outputs
        self.shortcut_layer = (
            nn.MaxPool2d(1, stride) if same else nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            convolution(inputs, outputs),
            nn.PReLU(outputs),
            convolution(outputs, outputs, 3, stride),
            nn.BatchNorm2d(outputs),
            SqueezeAndExcitation(outputs),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shortcut_layer(x) + self.res_layer(x)


class SqueezeAndExcitation(nn.Module):
    """Each channel times a weight 0..1 that the means of all channels decide."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = convolution(channels, channels // SQUEEZE, 1), convolution(channels // SQUEEZE, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """Without bias; 3 x 3 keeps the size at stride 1."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


def units(inputs: int, outputs: int, count: int) -> list[tuple[int, int, int]]:
    """(channels in, channels out, stride) of the units of a stage: the first halves the size."""
    return [(inputs, outputs, 2)] + [(outputs, outputs, 1)] * (count - 1)


def load_ir_se50(file: Path, device: str = "cpu") -> IRSE50:
    """The network with the weights in `file`, on `device`, for inference.

    Raises NotAvailable if there is no such file, UserError if it is damaged or holds something else.
    """
    if not file.is_file():
        where = f"{file}: get facexlib's {IR_SE50_FILE} (175 MB) and put it there"
        raise NotAvailable(f"The recogniser that these weights need is missing from {where}.")
    with torch.device("meta"):
        network = IRSE50()
    network.load_state_dict(_fitting(_read(file), network.state_dict(), file.name), strict=True, assign=True)
    return network.to(device).eval().requires_grad_(False)


def _read(file: Path) -> Mapping[str, torch.Tensor]:
    """Tensors by name; nothing in the file is run."""
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, pickle and zipfile each raise errors of their own
        raise UserError(f"{file.name} is damaged, or holds more than weights: get facexlib's {IR_SE50_FILE} again.") from error
    if not isinstance(weights, Mapping) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise UserError(f"{file.name} holds no weights by name: get facexlib's {IR_SE50_FILE} again.")
    return weights


def _fitting(weights: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """`weights` in float32, with zeros for counts that are missing. Raises UserError where names or shapes are not those of `wanted`."""
    counts = {key: torch.zeros((), dtype=torch.long) for key in wanted if key.endswith(COUNTS)}
    given = {key: value if key in counts else value.float() for key, value in weights.items()}
    complete = counts | given
    missing, extra = [key for key in wanted if key not in complete], [key for key in complete if key not in wanted]
    wrong = [key for key in wanted if key in complete and complete[key].shape != wanted[key].shape]
    for keys, what in ((missing, "lacks"), (extra, "has the unknown"), (wrong, "has another shape of")):
        if keys:
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise UserError(f"{name} is not the recogniser IR-SE50, for it {what} {keys[0][:80]}{more}: get facexlib's {IR_SE50_FILE}.")
    return complete


@dataclass(frozen=True, eq=False)
class TorchRecogniser:
    """IR-SE50 as a `Recogniser`.

    Attributes:
        network: on the device it runs on.
        name, size: see `Recogniser`.
    """

    network: IRSE50
    name: str = IR_SE50
    size: int = ARCFACE_SIZE

    @staticmethod
    def open(file: Path, device: str = "auto") -> TorchRecogniser:
        """With the weights in `file`, on `device` ("auto", "cpu", "cuda", "cuda:1"). Raises as `load_ir_se50` does."""
        from pipelines.models.placement import resolve_device

        return TorchRecogniser(load_ir_se50(file, resolve_device(device)))

    @torch.inference_mode()
    def embed(self, crops: np.ndarray) -> np.ndarray:
        """See `Recogniser.embed`."""
        check_crops(crops, self.size)
        device = self.network.output_layer[3].weight.device
        parts = [self.network(pixels(part).to(device)).cpu() for part in torch.from_numpy(crops.copy()).split(BATCH)] if len(crops) else []
        return torch.cat([torch.zeros(0, EMBEDDING), *parts]).numpy()


def pixels(crops: torch.Tensor) -> torch.Tensor:
    """(N, H, W, 3) uint8 RGB -> (N, 3, H, W) float32 BGR in -1..1, as facexlib's network was trained."""
    return (crops.flip(-1).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
