"""A trained pipeline becomes a folder of `assets/models`: bf16 safetensors, preview colours, how it was trained, a sheet of samples."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image

from pipelines.backbones.latent_rgb import fit
from pipelines.models.registry import ROOT
from pipelines.playground.scene import TRAIN_SEEDS, caption, sample_scene
from pipelines.playground.train.clips import WorldClips
from pipelines.playground.train.latents import Encode
from pipelines.playground.train.precision import has_bfloat16
from pipelines.playground.train.vae import to_tensor

MODULE = "pipelines.playground.train"
ASIDE = ("resume", "save_every", "say_every", "look")
"""Flags that do not change what is learnt."""


def place(name: str) -> Path:
    """Where the repository keeps model `name`."""
    return ROOT / "assets" / "models" / name


def export(pipeline: DiffusionPipeline, folder: Path, sets: Sequence[WorldClips], encode: Encode) -> None:
    """Write `pipeline` to `folder` in bf16, with latent_rgb.json; `encode` gives the normalised latents that denoising works on."""
    pipeline.to(torch.bfloat16).save_pretrained(folder, safe_serialization=True)
    pipeline.to(torch.float32)
    _forget_places(folder)
    frames = np.stack([sets[0].frames(index)[0] for index in range(24)])
    latents = encode(to_tensor(frames[:, None])).float().cpu()
    fit(latents[:, :, 0].permute(1, 0, 2, 3).numpy(), frames).save(folder / "latent_rgb.json")


def _forget_places(folder: Path) -> None:
    """Parts of a model say in their settings where they were loaded from; that is nobody else's business."""
    for file in folder.glob("*/config.json"):
        settings = json.loads(file.read_text())
        if settings.pop("_name_or_path", None):
            file.write_text(json.dumps(settings, indent=2) + "\n")


def write_recipe(folder: Path, flags: argparse.Namespace, device: str, *, module: str = MODULE, half: bool | None = None) -> None:
    """Write recipe.json: the flags that bear on the weights, the machine, the day. Without paths: they say nothing to others.

    Args:
        module: what was run.
        half: whether it computed in bfloat16; None: as the recipe of the models does.
    """
    chosen = {name: value for name, value in vars(flags).items() if name not in ASIDE and value is not None and not isinstance(value, Path)}
    machine = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    machine += ", bfloat16" if (has_bfloat16(device) if half is None else half) else ""
    recipe = {"flags": chosen, "device": machine, "torch": torch.__version__, "date": date.today().isoformat(), "module": module}
    if getattr(flags, "start", None):
        recipe["started_from"] = json.loads((flags.start / "recipe.json").read_text())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(json.dumps(recipe, indent=2) + "\n")


@torch.no_grad()
def sample_sheet(
    pipeline: DiffusionPipeline, file: Path, shape: tuple[int, int, int], count: int = 8, steps: int = 20, guidance: float = 4.0
) -> None:
    """Five frames each of `count` clips (an even number) for captions of the training split, in two columns at twice the size."""
    frames, height, width = shape
    rows = []
    for index in range(count):
        words = caption(sample_scene(TRAIN_SEEDS[-1 - index]))
        print(f"row {index + 1}: {words}", flush=True)
        video = pipeline(
            words, height=height, width=width, num_frames=frames, num_inference_steps=steps, guidance_scale=guidance,
            generator=torch.Generator().manual_seed(index), max_sequence_length=pipeline.tokenizer.model_max_length, output_type="np",
        ).frames[0]  # fmt: skip
        rows.append(np.concatenate([video[at] for at in np.linspace(0, frames - 1, 5).round().astype(int)], 1))
    half = len(rows) // 2
    sheet = np.concatenate([np.concatenate(rows[:half]), np.concatenate(rows[half:])], 1)
    picture = Image.fromarray((sheet * 255).round().astype(np.uint8))
    larger = picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.BICUBIC)
    larger.quantize(256).save(file, optimize=True)  # a quarter of the size
