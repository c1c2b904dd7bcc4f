"""Training of playground-wan: a UMT5-type text encoder and a WanTransformer3DModel together, by flow matching on latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from torch import nn
from transformers import UMT5Config, UMT5EncoderModel

from pipelines.playground.scene import caption, sample_scene
from pipelines.playground.train.clips import WorldClips
from pipelines.playground.train.run import Average, Budget, Run, warm_then_cosine
from pipelines.playground.train.tokenizer import MAX_TOKENS, new_tokenizer
from pipelines.playground.train.vae import to_tensor

TEXT_DIM = 128
TRANSFORMER = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 6,
    "attention_head_dim": 32,
    "in_channels": 16,
    "out_channels": 16,
    "text_dim": TEXT_DIM,
    "freq_dim": 128,
    "ffn_dim": 512,
    "num_layers": 8,
}
SAMPLING_SHIFT = 3.0
"""Flow shift of the sampler, that of Wan2.1 at its smaller size."""

PEAK = 7e-4
"""Highest learning rate."""

TRAINING_SHIFT = 2.0
"""Shift of the noise levels drawn in training: half of them lie above 2/3."""


class TextAndVideo(nn.Module):
    """Text encoder and transformer as one module, so that one optimiser and one average hold both."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        config = UMT5Config(
            vocab_size=vocabulary, d_model=TEXT_DIM, d_kv=32, d_ff=256, num_layers=3, num_heads=4, dropout_rate=0.0, pad_token_id=0
        )
        self.text_encoder = UMT5EncoderModel(config)
        self.transformer = WanTransformer3DModel(**TRANSFORMER)
        nn.init.zeros_(self.transformer.proj_out.weight)
        nn.init.normal_(self.text_encoder.shared.weight, std=1.0)

    def encode(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, L, D) text states, zero behind the end of each prompt as WanPipeline has them."""
        return self.text_encoder(ids, mask).last_hidden_state * mask[..., None]


class LatentWorld:
    """Normalised latents and captions of all training clips, encoded once and kept in memory.

    Args:
        clips: the rendered clips.
        vae: the trained autoencoder.
        file: where the latents are cached.
    """

    def __init__(self, clips: WorldClips, vae: AutoencoderKLWan, file: Path, device: str) -> None:
        if not file.exists():
            np.save(file, _encode_all(clips, vae.to(device), device))
        self.latents = np.load(file)
        scenes = [sample_scene(clips.seed(index)) for index in range(len(self.latents))]
        self.captions = {moving: [caption(scene, moving=moving) for scene in scenes] for moving in (True, False)}

    def batch(self, seed: int, step: int, size: int, single: bool) -> tuple[torch.Tensor, list[str]]:
        """(B, C, T', H', W') latents and their captions, one caption in ten empty; `single` gives first frames."""
        draw = np.random.default_rng((seed, step))
        chosen = draw.integers(len(self.latents), size=size)
        latents = torch.from_numpy(self.latents[chosen].astype(np.float32))
        words = ["" if draw.uniform() < 0.1 else self.captions[not single][int(index)] for index in chosen]
        return latents[:, :, :1] if single else latents, words


@torch.no_grad()
def _encode_all(clips: WorldClips, vae: AutoencoderKLWan, device: str) -> np.ndarray:
    mean, deviation = (
        torch.tensor(values).view(1, -1, 1, 1, 1).to(device) for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    rows = []
    for start in range(0, len(clips), 8):
        batch = to_tensor(np.stack([clips.frames(index) for index in range(start, min(start + 8, len(clips)))])).to(device)
        rows.append(((vae.encode(batch).latent_dist.mode() - mean) / deviation).half().cpu().numpy())
        if start % 256 == 0:
            print(f"encoding {start}/{len(clips)} clips", flush=True)
    return np.concatenate(rows)


def flow_loss(
    model: TextAndVideo, latents: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Flow-matching loss: x = (1 - sigma) x0 + sigma noise, target noise - x0; sigma (B,) in 0..1."""
    level = sigma.view(-1, 1, 1, 1, 1)
    noisy = (1 - level) * latents + level * noise
    prediction = model.transformer(noisy, sigma * 1000, model.encode(ids, mask), return_dict=False)[0]
    return (prediction - (noise - latents)).pow(2).mean()


def draw_levels(count: int) -> torch.Tensor:
    """(B,) noise levels 0..1: logit-normal, moved towards noise, where colours, places and motions are decided."""
    sigma = torch.sigmoid(torch.randn(count))
    return TRAINING_SHIFT * sigma / (1 + (TRAINING_SHIFT - 1) * sigma)


def train_wan(
    clips: WorldClips, folder: Path, vae_folder: Path, budget: Budget, device: str, resume: bool, seed: int, compiled: bool, size: int
) -> WanPipeline:
    """Train on the latents of `clips` with `size` clips a step; returns the whole pipeline with averaged weights."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    vae = AutoencoderKLWan.from_pretrained(vae_folder).eval()
    world = LatentWorld(clips, vae, folder / "latents.npy", device)
    tokenizer = new_tokenizer()
    model = TextAndVideo(len(tokenizer)).to(device)
    average = Average(model, decay=0.998)
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK, betas=(0.9, 0.95), weight_decay=0.01)
    run = Run(folder, "wan", {"model": model, "average": average, "optimiser": optimiser}, budget, seed, resume)
    if compiled:
        model.transformer.compile_repeated_blocks(dynamic=False)

    def update(step: int, progress: float) -> float:
        for group in optimiser.param_groups:
            group["lr"] = warm_then_cosine(progress, step, peak=PEAK, warm_steps=100)
        single = step % 6 == 5
        latents, words = world.batch(seed, step, size * 4 if single else size, single)
        tokens = tokenizer(words, padding="max_length", max_length=MAX_TOKENS, truncation=True, return_tensors="pt")
        noise, sigma = torch.randn(latents.shape), draw_levels(len(latents))
        parts = (part.to(device) for part in (latents, noise, sigma, tokens.input_ids, tokens.attention_mask))
        loss = flow_loss(model, *parts)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average.update(model)
        return loss.item()

    run.loop(update)
    return assemble(average, tokenizer, vae)


def assemble(average: Average, tokenizer: Any, vae: AutoencoderKLWan) -> WanPipeline:
    """A WanPipeline from averaged weights, with the scheduler that the real models use."""
    model = TextAndVideo(len(tokenizer))
    model.load_state_dict(average.weights)
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SAMPLING_SHIFT)
    return WanPipeline(tokenizer, model.text_encoder.eval(), vae, scheduler, model.transformer.eval())
