"""Training of playground-cogvideox: a T5-type text encoder and a CogVideoXTransformer3DModel together, by v-prediction on latents."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXDDIMScheduler, CogVideoXPipeline, CogVideoXTransformer3DModel
from torch import Tensor, nn
from transformers import T5Config, T5EncoderModel

from pipelines.playground.train import teller as looks
from pipelines.playground.train.clips import WorldClips, open_sets
from pipelines.playground.train.cogvideox_vae import quick
from pipelines.playground.train.latents import Batch, Encode, LatentWorld, fingerprint, is_single, near_subjects
from pipelines.playground.train.optimise import MuonAndAdamW
from pipelines.playground.train.precision import mixed
from pipelines.playground.train.reader import SHARE as READING
from pipelines.playground.train.reader import WEIGHT, tokens_of, train_reader
from pipelines.playground.train.run import Average, Budget, Run, descend, warm_then_cosine
from pipelines.playground.train.teller import SHARE, Teller, train_teller
from pipelines.playground.train.tokenizer import MAX_TOKENS, load_text_encoder, new_tokenizer

TEXT_DIM = 128
TRANSFORMER = {
    "num_attention_heads": 5,
    "attention_head_dim": 32,
    "num_layers": 10,
    "time_embed_dim": 64,
    "in_channels": 16,
    "out_channels": 16,
    "text_embed_dim": TEXT_DIM,
    "max_text_seq_length": MAX_TOKENS,
    "use_rotary_positional_embeddings": True,
    "patch_size": 2,
    "sample_width": 24,
    "sample_height": 24,
    "sample_frames": 17,
}
"""Positions of any size are stretched onto those of 24 x 24 latents, 96 x 96 px, by the pipeline: the model has to see several sizes."""

SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "snr_shift_scale": 1.0,
    "timestep_spacing": "trailing",
    "set_alpha_to_one": True,
    "clip_sample": False,
}
"""That of CogVideoX-5B."""

STILLS_EVERY = 2
"""One step in so many is about single frames while clips are learnt: with one in five, shapes are forgotten."""

PEAK = 7e-4
"""Highest learning rate of what AdamW trains."""


class TextAndVideo(nn.Module):
    """Text encoder and transformer as one module, so that one optimiser and one average hold both."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        config = T5Config(
            vocab_size=vocabulary, d_model=TEXT_DIM, d_kv=32, d_ff=256, num_layers=3, num_heads=4, dropout_rate=0.0, pad_token_id=0,
            feed_forward_proj="gated-gelu",
        )  # fmt: skip
        self.text_encoder = T5EncoderModel(config)
        self.transformer = CogVideoXTransformer3DModel(**TRANSFORMER)
        start_as_identity(self.transformer)

    def encode(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, L, D) text states of prompts (B, L); without their mask, as the pipeline encodes them."""
        return self.text_encoder(ids).last_hidden_state

    def forward(self, noisy: Tensor, timesteps: Tensor, text: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """v for noisy latents (B, C, T', H', W'), timesteps (B,) and text states (B, L, D)."""
        return self.transformer(noisy.transpose(1, 2), text, timesteps, image_rotary_emb=rotary, return_dict=False)[0].transpose(1, 2)

    def load_trained(self, folder: Path, tokenizer: Any) -> None:
        """Take over the weights of a finished model; words are matched by their spelling, new ones stay as they are."""
        self.transformer.load_state_dict(CogVideoXTransformer3DModel.from_pretrained(folder / "transformer").state_dict())
        load_text_encoder(self.text_encoder, T5EncoderModel.from_pretrained(folder / "text_encoder"), folder / "tokenizer", tokenizer)


def start_as_identity(transformer: CogVideoXTransformer3DModel) -> None:
    """Close the gates of all blocks and the output (adaLN-Zero, Peebles and Xie 2023, section 3.2)."""
    modulations = [norm.linear for block in transformer.transformer_blocks for norm in (block.norm1, block.norm2)]
    for linear in [*modulations, transformer.norm_out.linear, transformer.proj_out]:
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)


def new_scheduler() -> CogVideoXDDIMScheduler:
    """DDIM for v-prediction; the last level is pure noise."""
    return CogVideoXDDIMScheduler(**SCHEDULER)


def velocity_loss(
    model: TextAndVideo, scheduler: CogVideoXDDIMScheduler, teller: Teller, batch: Batch, noise: Tensor, timesteps: Tensor,
    text: Tensor, rotary: tuple[Tensor, Tensor],
) -> Tensor:  # fmt: skip
    """Mean square error of v = sqrt(a) noise - sqrt(1-a) x0 at x = sqrt(a) x0 + sqrt(1-a) noise (Salimans and Ho 2022, section 4).

    Equal to CogVideoX's loss on x0 with the weight 1 / (1-a). It counts subjects more (`near_subjects`) and asks the teller
    about the estimate of x0, sqrt(a) x - sqrt(1-a) v. The tracker, which helps the other model, is not asked: under much noise
    the estimate is this network's answer alone, and it learnt mosaics that only look right to the tracker.
    """
    noisy = scheduler.add_noise(batch.latents, noise, timesteps)
    velocity = model(noisy, timesteps, text, rotary).float()
    error = near_subjects((velocity - scheduler.get_velocity(batch.latents, noise, timesteps)).pow(2), batch.covers)
    share = scheduler.alphas_cumprod.float().to(noisy.device)[timesteps]
    signal, disturbance = share.sqrt(), (1 - share).sqrt()
    estimate = signal.view(-1, 1, 1, 1, 1) * noisy - disturbance.view(-1, 1, 1, 1, 1) * velocity
    sigma = disturbance / (signal + disturbance)
    return error + looks.WEIGHT * teller.disagreement(estimate, batch.covers, sigma, batch.labels)


def draw_timesteps(count: int, levels: int = 1000) -> Tensor:
    """(B,) timesteps, spread evenly over the batch; density 0.5 at the clean end rising to 1.5 at pure noise.

    CogVideoX draws them uniformly; at the clean end a small model learns little, at the noisy one the scene is decided.
    """
    uniform = (torch.randperm(count) + torch.rand(count)) / count
    return (((1 + 8 * uniform).sqrt() - 1) / 2 * levels).long().clamp(max=levels - 1)


def rotary_of(pipeline: CogVideoXPipeline, latents: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines for latents (B, C, T', H', W') by the pipeline's own function, on their device."""
    frames, height, width = latents.shape[2:]
    scale = pipeline.vae_scale_factor_spatial
    return pipeline._prepare_rotary_positional_embeddings(height * scale, width * scale, frames, latents.device)


def encoder_of(vae: AutoencoderKLCogVideoX, device: str) -> Encode:
    """Clips to normalised latents."""

    @torch.no_grad()
    def encode(clips: Tensor) -> Tensor:
        with quick(vae):
            return vae.encode(clips.to(device)).latent_dist.mode() * vae.config.scaling_factor

    return encode


def train_cogvideox(
    sets: Sequence[WorldClips], folder: Path, vae_folder: Path, budget: Budget, device: str, *, stills: Sequence[WorldClips] = (),
    batch: int = 16, start: Path | None = None, stills_until: float = 0.0, resume: bool = True, seed: int = 0, compiled: bool = False,
) -> CogVideoXPipeline:  # fmt: skip
    """Train on the latents of `sets`; returns the whole pipeline with averaged weights.

    Args:
        stills: sets of single frames; without them those are the first frames of the clips.
        batch: clips of 64 x 64 px per step; of larger ones fewer, of single frames more.
        start: folder of a finished model to go on from.
        stills_until: share of the training that is about single frames only: five times as many in the same time, for shapes and colours.
    """
    torch.manual_seed(seed)
    vae = AutoencoderKLCogVideoX.from_pretrained(vae_folder, torch_dtype=torch.float32).eval().to(device)
    world = LatentWorld(sets, encoder_of(vae, device), folder / f"latents-{fingerprint(vae)}", stills)
    teller = train_teller(world, folder, budget, device, resume=resume, seed=seed)
    torch.manual_seed(seed)
    tokenizer = new_tokenizer()
    model = TextAndVideo(len(tokenizer))
    if start:
        model.load_trained(start, tokenizer)
    model.to(device)
    pipeline = assemble(model, tokenizer, vae)
    reader = train_reader(model.text_encoder, model.encode, tokenizer, world.readable, folder, budget, device, resume=resume, seed=seed)
    average, optimiser = Average(model, decay=0.998), MuonAndAdamW(model, PEAK)
    parts, share = {"model": model, "average": average, "optimiser": optimiser}, 1 - SHARE - READING
    run = Run(folder, "cogvideox", parts, budget.part(share), seed, resume)
    if compiled:
        for block in model.transformer.transformer_blocks:
            block.compile(dynamic=False)

    def update(step: int, progress: float) -> float:
        optimiser.set_rate(warm_then_cosine(progress, step, peak=PEAK, warm_steps=100))
        drawn = world.batch(seed, step, batch, is_single(step, progress, stills_until, STILLS_EVERY)).to(device)
        ids, mask = tokens_of(tokenizer, drawn.words, device)
        noise, timesteps = torch.randn(drawn.latents.shape).to(device), draw_timesteps(len(drawn.latents)).to(device)
        rotary = rotary_of(pipeline, drawn.latents)
        with mixed(device):
            text = model.encode(ids, mask)
            loss = velocity_loss(model, pipeline.scheduler, teller, drawn, noise, timesteps, text, rotary)
            loss = loss + WEIGHT * reader.disagreement(text, mask, drawn.said)
        return descend(loss, model, optimiser, average)

    run.loop(update)
    finished = TextAndVideo(len(tokenizer))
    finished.load_state_dict(average.weights)
    return assemble(finished.eval(), tokenizer, vae.cpu())


def assemble(model: TextAndVideo, tokenizer: Any, vae: AutoencoderKLCogVideoX) -> CogVideoXPipeline:
    """The diffusers pipeline of these parts."""
    return CogVideoXPipeline(tokenizer, model.text_encoder, vae, model.transformer, new_scheduler())


def main(flags: argparse.Namespace, device: str) -> None:
    """`train cogvideox`: text encoder and transformer on the latents of WORK/cogvideox-vae/model; the whole pipeline goes to OUT."""
    from pipelines.playground.train.export import export, place, sample_sheet, write_recipe

    sets = open_sets(flags.sizes, flags.frames, flags.work / "world")
    stills = open_sets(flags.stills, 1, flags.work / "world", first=sum(map(len, sets)))
    pipeline = train_cogvideox(
        sets, flags.work / "cogvideox", flags.vae or flags.work / "cogvideox-vae" / "model", Budget.of(flags), device,
        stills=stills, batch=flags.batch, start=flags.start, stills_until=flags.stills_until, resume=flags.resume, seed=flags.seed,
        compiled=flags.compile,
    )  # fmt: skip
    out = flags.out or place("playground-cogvideox")
    export(pipeline, out, sets, encoder_of(pipeline.vae, "cpu"))
    write_recipe(out, flags, device)
    sample_sheet(pipeline.to(device), flags.work / "cogvideox" / "samples.png", sets[0].shape)
