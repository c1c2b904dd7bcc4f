"""A diffusers folder on this machine as a registry entry: family, size and geometry are read off its own files."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

from pipelines.errors import NotAvailable, UserError
from pipelines.models.folders import folder_bytes, parameters, pipeline_class
from pipelines.models.registry import ModelEntry

FAMILIES = {"WanPipeline": "wan", "CogVideoXPipeline": "cogvideox", "LTXPipeline": "ltx"}
SIDE_MULTIPLE = {"wan": 16, "cogvideox": 16, "ltx": 32}


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
    count = parameters(folder, "transformer")
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


def _nearest(family: str, count: int) -> ModelEntry:
    """The registry model of `family` with the parameter count closest to `count`, as a ratio."""
    from pipelines.models.registry import entries

    same = [known for known in entries() if known.family == family]
    return min(same, key=lambda known: abs(math.log(known.parameters / max(count, 1))))
