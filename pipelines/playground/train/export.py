"""A trained pipeline becomes a folder of `assets/models`: bf16 safetensors, the preview's colours and a sheet of samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import WanPipeline
from PIL import Image

from pipelines.backbones.latent_rgb import fit
from pipelines.playground.scene import TRAIN_SEEDS, caption, sample_scene
from pipelines.playground.train.clips import WorldClips
from pipelines.playground.train.vae import to_tensor


def export(pipeline: WanPipeline, folder: Path, clips: WorldClips, recipe: dict[str, Any]) -> None:
    """Write `pipeline` to `folder` in bf16 with latent_rgb.json and recipe.json (how it was trained)."""
    pipeline.to(torch.bfloat16).save_pretrained(folder, safe_serialization=True)
    pipeline.to(torch.float32)
    latents, frames = _pairs(pipeline, clips)
    fit(latents, frames).save(folder / "latent_rgb.json")
    (folder / "recipe.json").write_text(json.dumps(recipe, indent=2) + "\n")


@torch.no_grad()
def _pairs(pipeline: WanPipeline, clips: WorldClips, count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Normalised latents (C, N, H', W') of the first frames of `count` clips, and those frames (N, H, W, 3)."""
    vae = pipeline.vae
    frames = np.stack([clips.frames(index)[0] for index in range(count)])
    latents = vae.encode(to_tensor(frames[:, None])).latent_dist.mode()
    mean, deviation = (torch.tensor(v).view(1, -1, 1, 1, 1) for v in (vae.config.latents_mean, vae.config.latents_std))
    return ((latents - mean) / deviation)[:, :, 0].permute(1, 0, 2, 3).numpy(), frames


@torch.no_grad()
def sample_sheet(pipeline: WanPipeline, file: Path, size: int, frames: int, count: int = 8, steps: int = 20, guidance: float = 4.0) -> None:
    """Five frames each of `count` clips (an even number) for captions of the training split, in two columns at twice the size."""
    rows = []
    for index in range(count):
        words = caption(sample_scene(TRAIN_SEEDS[-1 - index]))
        print(f"row {index + 1}: {words}", flush=True)
        generator = torch.Generator().manual_seed(index)
        video = pipeline(
            words, height=size, width=size, num_frames=frames, num_inference_steps=steps, guidance_scale=guidance, generator=generator,
            max_sequence_length=pipeline.tokenizer.model_max_length, output_type="np",
        ).frames[0]  # fmt: skip
        rows.append(np.concatenate([video[at] for at in np.linspace(0, frames - 1, 5).round().astype(int)], 1))
    half = len(rows) // 2
    sheet = np.concatenate([np.concatenate(rows[:half]), np.concatenate(rows[half:])], 1)
    picture = Image.fromarray((sheet * 255).round().astype(np.uint8))
    picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.BICUBIC).save(file)
