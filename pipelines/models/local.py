"""A diffusers folder on this machine as a registry entry: family, size and geometry are read off its own files."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

from pipelines.errors import NotAvailable, UserError
from pipelines.models.folders import components, folder_bytes, parameters, pipeline_class, read_json
from pipelines.models.registry import TEXT_TO_VIDEO, ModelEntry

FAMILIES = {"WanPipeline": "wan", "CogVideoXPipeline": "cogvideox", "LTXPipeline": "ltx", "AnimateDiffPipeline": "animatediff"}
SIDE_MULTIPLE = {"wan": 16, "cogvideox": 16, "ltx": 32, "animatediff": 8}

ANIMATEDIFF = ModelEntry(
    name="animatediff",
    family="animatediff",
    title="AnimateDiff",
    repo=None,
    revision=None,
    path=None,
    bytes=6_080_000_000,
    licence="see the folder",
    description="Stable Diffusion 1.5 with motion modules.",
    can=(TEXT_TO_VIDEO,),
    default_width=512,
    default_height=512,
    default_frames=16,
    default_steps=25,
    default_guidance=7.5,
    fps=8,
    size_multiple=8,
    min_size=256,
    max_size=768,
    frame_step=1,
    max_frames=32,
    parameters=1_312_730_244,
)
"""What a folder of the family would like; no model of it is listed."""


def looks_like_folder(name: str) -> bool:
    """Whether `name` is meant as a path: it has a separator, starts with . or ~, or is a folder that exists."""
    if not name.strip() or "\0" in name:
        return False
    return "/" in name or "\\" in name or name[0] in ".~" or os.path.isdir(name)


def local_entry(folder: Path) -> ModelEntry:
    """An entry for the diffusers folder `folder`.

    Geometry and defaults are those of the registry model of the same family whose denoiser is nearest in size,
    without its smallest size: a person who brings a folder knows what it can draw.
    Raises NotAvailable for a missing folder, UserError for one that is no video model of a known family.
    """
    if not os.path.isdir(folder):  # unlike Path.is_dir, False for a name too long for the file system
        raise NotAvailable(f"There is no model folder at {str(folder)[:200]}: check the path, or choose a model by name.")
    pipeline = pipeline_class(folder)
    family = FAMILIES.get(pipeline)
    if family is None:
        raise UserError(f"{folder} holds a {pipeline}, which is not among the supported ones ({', '.join(FAMILIES)}).")
    count = sum(parameters(folder, part) for part in _denoiser(folder))
    model = _nearest(family, count)
    step = SIDE_MULTIPLE[family]
    return replace(
        model,
        name=str(folder),
        title=folder.resolve().name,
        repo=None,
        revision=None,
        path=str(folder.resolve()),
        bytes=folder_bytes(folder),
        licence="see the folder",
        description="A model folder on this machine.",
        size_multiple=step,
        min_size=step,
        parameters=count,
    )


def _denoiser(folder: Path) -> list[str]:
    """Components that draw: the transformer, or the UNet, whose motion modules may be a part of their own."""
    if "unet" not in components(folder):
        return ["transformer"]
    joined = read_json(folder / "model_index.json")["unet"][1] == "UNetMotionModel"
    return ["unet"] if joined else ["unet", "motion_adapter"]


def _nearest(family: str, count: int) -> ModelEntry:
    """The registry model of `family` with the parameter count closest to `count`, as a ratio."""
    from pipelines.models.registry import entries

    same = [known for known in entries() if known.family == family] or [ANIMATEDIFF]
    return min(same, key=lambda known: abs(math.log(known.parameters / max(count, 1))))
