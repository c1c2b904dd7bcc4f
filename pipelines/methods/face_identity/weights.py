"""Reading and writing adapters: safetensors only, complete and of the right shapes before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipelines.errors import UserError
from pipelines.methods.face_identity.card import read_card, write_card
from pipelines.methods.face_identity.headers import Stored, file_of, look
from pipelines.methods.face_identity.modules import FaceAdapter, Sizes
from pipelines.methods.face_identity.names import PARTS


def read_adapter(path: Path, backbone: Any = None) -> FaceAdapter:
    """The adapter in a folder of files as they were released, or in one repacked file, beside which its resampler may lie.

    It is frozen, in main memory and in the precision of the files; the resampler, which is small, in float32.

    Args:
        backbone: the model that shall wear it, if it is known.
    Raises UserError for files that are missing, damaged, incomplete, or for another model; no weights have been read then.
    """
    survey = look(path)
    if backbone is not None:
        check_fits(survey.sizes, backbone)
    card = read_card(survey.folder, survey.sizes.arm)
    with torch.device("meta"):
        adapter = FaceAdapter(survey.sizes, card)
    adapter.load_state_dict(_read(survey.tensors), assign=True)
    if adapter.resampler is not None:
        adapter.resampler.float()
    return adapter.eval().requires_grad_(False)


def save_adapter(adapter: FaceAdapter, folder: Path, weights: Mapping[str, Tensor] | None = None) -> None:
    """Write the adapter as the released ones are, with its card.

    Args:
        weights: to be written instead of its own, by the adapter's names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = adapter.state_dict() if weights is None else weights
    for part in PARTS:
        own = {name.removeprefix(f"{part}."): value for name, value in weights.items() if name.startswith(f"{part}.")}
        values = {name: value.detach().cpu().contiguous() for name, value in own.items()}
        if values:
            save_file(values, file_of(folder, part))
    write_card(adapter.card, folder)


def check_fits(sizes: Sizes, backbone: Any) -> None:
    """Raise UserError unless an adapter of these sizes is for `backbone`."""
    if backbone.family != "wan":
        raise UserError("Faces are kept by models of the Wan family only: choose one of those.")
    blocks = backbone.blocks()
    width, depth = blocks[0].width("output"), len(blocks)
    if not sizes.fits(width, depth):
        theirs = sizes.ref_layers or sizes.stride * sizes.ip_layers
        raise UserError(
            f"The adapter is for a model of {theirs} blocks with {sizes.width} channels and this one has {depth} with {width}: "
            "choose the model that it was made for."
        )


def _read(tensors: Mapping[str, Stored]) -> dict[str, Tensor]:
    """Values by their names inside the adapter; raises UserError for files that cannot be read or numbers that are none."""
    values: dict[str, Tensor] = {}
    for file in sorted({stored.file for stored in tensors.values()}):
        try:
            with safe_open(file, framework="pt") as opened:
                values |= {entry: opened.get_tensor(stored.name) for entry, stored in tensors.items() if stored.file == file}
        except (OSError, SafetensorError, ValueError) as error:
            raise UserError(f"{file.name} cannot be read as safetensors: download the adapter again.") from error
    for entry, value in values.items():
        if not value.isfinite().all():
            stored = tensors[entry]
            raise UserError(f"{stored.file.name} holds numbers in {stored.name} that are not finite: download the adapter again.")
    return values
