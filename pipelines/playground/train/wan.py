"""Training of playground-wan: a UMT5-type text encoder and a WanTransformer3DModel together, by flow matching on latents."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from torch import nn
from transformers import UMT5Config, UMT5EncoderModel

from pipelines.playground.train.clips import WorldClips, open_sets
from pipelines.playground.train.latents import Batch, Encode, LatentWorld, fingerprint, is_single, near_subjects
from pipelines.playground.train.optimise import MuonAndAdamW
from pipelines.playground.train.precision import mixed
from pipelines.playground.train.reader import SHARE as READING
from pipelines.playground.train.reader import WEIGHT, tokens_of, train_reader
from pipelines.playground.train.run import Average, Budget, Run, descend, warm_then_cosine
from pipelines.playground.train.teachers import SHARE, Teachers, train_teachers
from pipelines.playground.train.tokenizer import load_text_encoder, new_tokenizer

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
"""Highest learning rate of what AdamW trains."""

TRAINING_SHIFT = {"single frames": 3.0, "clips": 5.0}
"""Shift of the noise levels drawn in training: that of the sampler, and a higher one for clips, whose motion is decided above 0.9."""


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

    def load_trained(self, folder: Path, tokenizer: Any) -> None:
        """Take over the weights of a finished model; words are matched by their spelling, new ones stay as they are."""
        self.transformer.load_state_dict(WanTransformer3DModel.from_pretrained(folder / "transformer").state_dict())
        load_text_encoder(self.text_encoder, UMT5EncoderModel.from_pretrained(folder / "text_encoder"), folder / "tokenizer", tokenizer)


def flow_loss(
    transformer: WanTransformer3DModel, teachers: Teachers, batch: Batch, noise: torch.Tensor, sigma: torch.Tensor, text: torch.Tensor
) -> torch.Tensor:
    """Flow-matching loss: x = (1 - sigma) x0 + sigma noise, target noise - x0; sigma (B,) in 0..1, text (B, L, D).

    It counts subjects more (`near_subjects`) and asks the teachers about the estimate of x0.
    """
    level = sigma.view(-1, 1, 1, 1, 1)
    noisy = (1 - level) * batch.latents + level * noise
    velocity = transformer(noisy, sigma * 1000, text, return_dict=False)[0].float()
    error = near_subjects((velocity - (noise - batch.latents)).pow(2), batch.covers)
    return error + teachers.disagreement(noisy - level * velocity, sigma, batch)


def draw_levels(count: int, single: bool) -> torch.Tensor:
    """(B,) noise levels 0..1: logit-normal, moved towards noise, where colours, places and motions are decided."""
    sigma, shift = torch.sigmoid(torch.randn(count)), TRAINING_SHIFT["single frames" if single else "clips"]
    return shift * sigma / (1 + (shift - 1) * sigma)


def encoder_of(vae: AutoencoderKLWan, device: str) -> Encode:
    """Clips to normalised latents."""
    statistics = (torch.tensor(v, device=device).view(1, -1, 1, 1, 1) for v in (vae.config.latents_mean, vae.config.latents_std))
    mean, deviation = statistics

    @torch.no_grad()
    def encode(clips: torch.Tensor) -> torch.Tensor:
        return (vae.encode(clips.to(device)).latent_dist.mode() - mean) / deviation

    return encode


def train_wan(
    sets: Sequence[WorldClips], folder: Path, vae_folder: Path, budget: Budget, device: str, *, stills: Sequence[WorldClips] = (),
    batch: int = 16, start: Path | None = None, stills_until: float = 0.0, resume: bool = True, seed: int = 0, compiled: bool = False,
) -> WanPipeline:  # fmt: skip
    """Train on the latents of `sets`; returns the whole pipeline with averaged weights.

    Args:
        stills: sets of single frames; without them those are the first frames of the clips.
        batch: clips of 64 x 64 px per step; of larger ones fewer, of single frames more.
        start: folder of a finished model to go on from.
        stills_until: share of the training that is about single frames only: five times as many in the same time, for shapes and colours.
    """
    torch.manual_seed(seed)
    vae = AutoencoderKLWan.from_pretrained(vae_folder, torch_dtype=torch.float32).eval().to(device)
    world = LatentWorld(sets, encoder_of(vae, device), folder / f"latents-{fingerprint(vae)}", stills)
    teachers = train_teachers(world, folder, budget, device, resume=resume, seed=seed)
    torch.manual_seed(seed)
    tokenizer = new_tokenizer()
    model = TextAndVideo(len(tokenizer))
    if start:
        model.load_trained(start, tokenizer)
    model.to(device)
    reader = train_reader(model.text_encoder, model.encode, tokenizer, world.readable, folder, budget, device, resume=resume, seed=seed)
    average, optimiser = Average(model, decay=0.998), MuonAndAdamW(model, PEAK)
    parts, share = {"model": model, "average": average, "optimiser": optimiser}, 1 - SHARE - READING
    run = Run(folder, "wan", parts, budget.part(share), seed, resume)
    if compiled:
        model.transformer.compile_repeated_blocks(dynamic=False)

    def update(step: int, progress: float) -> float:
        optimiser.set_rate(warm_then_cosine(progress, step, peak=PEAK, warm_steps=100))
        single = is_single(step, progress, stills_until)
        drawn = world.batch(seed, step, batch, single).to(device)
        ids, mask = tokens_of(tokenizer, drawn.words, device)
        noise, sigma = torch.randn(drawn.latents.shape).to(device), draw_levels(len(drawn.latents), single).to(device)
        with mixed(device):
            text = model.encode(ids, mask)
            loss = flow_loss(model.transformer, teachers, drawn, noise, sigma, text) + WEIGHT * reader.disagreement(text, mask, drawn.said)
        return descend(loss, model, optimiser, average)

    run.loop(update)
    return assemble(average, tokenizer, vae.cpu())


def assemble(average: Average, tokenizer: Any, vae: AutoencoderKLWan) -> WanPipeline:
    """A WanPipeline from averaged weights, with the scheduler that the real models use."""
    model = TextAndVideo(len(tokenizer))
    model.load_state_dict(average.weights)
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SAMPLING_SHIFT)
    return WanPipeline(tokenizer, model.text_encoder.eval(), vae, scheduler, model.transformer.eval())


def main(flags: argparse.Namespace, device: str) -> None:
    """`train wan`: text encoder and transformer on the latents of WORK/wan-vae/model; the whole pipeline goes to OUT."""
    from pipelines.playground.train.export import export, place, sample_sheet, write_recipe

    sets = open_sets(flags.sizes, flags.frames, flags.work / "world")
    stills = open_sets(flags.stills, 1, flags.work / "world", first=sum(map(len, sets)))
    trained = flags.work / "wan-vae" / "model"
    pipeline = train_wan(
        sets, flags.work / "wan", flags.vae or trained, Budget.of(flags), device, stills=stills, batch=flags.batch,
        start=flags.start, stills_until=flags.stills_until, resume=flags.resume, seed=flags.seed, compiled=flags.compile,
    )  # fmt: skip
    refined = flags.work / "wan-vae" / "refined"
    if refined.exists():
        pipeline.vae = AutoencoderKLWan.from_pretrained(refined, torch_dtype=torch.float32).eval()
    out = flags.out or place("playground-wan")
    export(pipeline, out, sets, encoder_of(pipeline.vae, "cpu"))
    write_recipe(out, flags, device)
    sample_sheet(pipeline.to(device), flags.work / "wan" / "samples.png", sets[0].shape)
