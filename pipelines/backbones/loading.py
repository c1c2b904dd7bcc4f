"""From a diffusers folder to a pipeline on its device, in the precision and placement that fit it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from pipelines.models.folders import check_folder


def load_pipeline(kind: type[DiffusionPipeline], folder: Path, device: str, placement: str, keep: tuple[str, ...] = ()) -> Any:
    """A frozen pipeline in evaluation mode, from safetensors only.

    Args:
        kind: pipeline class of the family.
        device: "cpu" (float32: half precisions are slow or inexact there) or a card (bfloat16).
        placement: see pipelines.models.placement.
        keep: components that stay in float32 on a card too.
    Raises UserError naming the file for a folder that is missing, incomplete or damaged.
    """
    check_folder(folder)
    dtype: Any = torch.float32
    if device != "cpu":
        dtype = {"default": torch.bfloat16} | dict.fromkeys(keep, torch.float32)
    with quiet():
        pipeline = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    place(pipeline, device, placement)
    return pipeline


def place(pipeline: DiffusionPipeline, device: str, placement: str) -> None:
    """Put a pipeline that lies in main memory where `placement` says."""
    if placement == "low":
        denoiser = getattr(pipeline, "transformer", None) or pipeline.unet
        denoiser.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16)
    if placement in ("offload", "low"):
        pipeline.enable_group_offload(onload_device=torch.device(device), offload_type="leaf_level", use_stream=True)
    else:
        pipeline.to(device)


@contextmanager
def quiet() -> Iterator[None]:
    """Within, the libraries draw no progress bars; what was set before is restored."""
    shown = [library for library in (diffusers_logging, transformers_logging) if library.is_progress_bar_enabled()]
    for library in shown:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in shown:
            library.enable_progress_bar()
