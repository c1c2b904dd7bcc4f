"""CogVideoX 1.0 text to video: v-prediction, text and video tokens in one joint attention. Latents inside are (B, T', C, H', W')."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import CogVideoXDPMScheduler, CogVideoXPipeline
from diffusers.models.embeddings import apply_rotary_emb
from torch import Tensor

from pipelines.backbones.base import Backbone
from pipelines.backbones.layout import AttentionBlock, TokenLayout, attention_block
from pipelines.backbones.processors import Attend, OpenCogVideoX
from pipelines.backbones.schedule import DPMSchedule, Schedule
from pipelines.errors import NotAvailable


class CogVideoXBackbone(Backbone):
    """CogVideoXPipeline with a DDIM or DPM scheduler, with rotary (5B) or sine-cosine (2B) positions."""

    family = "cogvideox"

    def __init__(self, pipeline: CogVideoXPipeline, device: str = "cpu", placement: str = "cpu", colours: Path | None = None) -> None:
        if pipeline.transformer.config.patch_size_t is not None:
            raise NotAvailable("This folder holds a CogVideoX 1.5 model, which this version cannot run: choose a CogVideoX 1.0 model.")
        super().__init__(pipeline, device, placement, colours)

    @classmethod
    def _pipeline_class(cls) -> type[CogVideoXPipeline]:
        return CogVideoXPipeline

    @property
    def text_length(self) -> int:
        return self.transformer.config.max_text_seq_length

    def _normalise(self, latents: Tensor) -> Tensor:
        return latents * self.vae.config.scaling_factor

    def _denormalise(self, latents: Tensor) -> Tensor:
        return latents / self.vae.config.scaling_factor

    def initial_noise(self, frames: int, height: int, width: int, seed: int) -> Tensor:
        count, *sides = self._latent_grid(frames, height, width)
        shape = (1, count, self.transformer.config.in_channels, *sides)  # the pipeline's own order
        noise = self._draw(shape, torch.Generator("cpu").manual_seed(seed), self.pipeline.text_encoder.dtype)
        return (noise * self.pipeline.scheduler.init_noise_sigma).transpose(1, 2)

    def schedule(self, steps: int, latents: Tensor, seed: int = 0) -> Schedule:
        scheduler = self.pipeline.scheduler
        if not isinstance(scheduler, CogVideoXDPMScheduler):
            return super().schedule(steps, latents, seed)
        generator = torch.Generator("cpu").manual_seed(seed)
        self._draw(tuple(latents.transpose(1, 2).shape), generator, self.pipeline.text_encoder.dtype)  # what the initial noise took
        return DPMSchedule(scheduler, steps, self.device, generator)

    def denoise(self, latents: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        prediction = self.transformer(
            hidden_states=latents.transpose(1, 2).to(self.dtype),
            encoder_hidden_states=text,
            timestep=timestep.expand(len(latents)),
            image_rotary_emb=self._rotary(latents),
            return_dict=False,
        )[0]
        return prediction.float().transpose(1, 2)

    def _rotary(self, latents: Tensor) -> tuple[Tensor, Tensor] | None:
        """Cosines and sines (N_video, d) by the pipeline's own function, which resizes and crops to the trained size; None for 2B."""
        if not self.transformer.config.use_rotary_positional_embeddings:
            return None
        scale = self.pipeline.vae_scale_factor_spatial
        frames, height, width = latents.shape[2:]
        return self.pipeline._prepare_rotary_positional_embeddings(height * scale, width * scale, frames, torch.device(self.device))

    def blocks(self) -> list[AttentionBlock]:
        return [
            attention_block(index, f"transformer_blocks.{index}.attn1", "joint", parent, self.device, self.dtype)
            for index, parent in enumerate(self.transformer.transformer_blocks)
        ]

    def tokens(self, latents: Tensor) -> TokenLayout:
        patch, text = self.transformer.config.patch_size, self.text_length
        frames, height, width = latents.shape[2], latents.shape[3] // patch, latents.shape[4] // patch
        return TokenLayout(text, frames, height, width, self.transformer.config.num_attention_heads, text)

    def rotate(self, features: Tensor, latents: Tensor) -> Tensor:
        """RoPE on the video tokens only: text tokens, in front, have no position."""
        rotary = self._rotary(latents)
        if rotary is None:
            return features.clone()
        layout = self.tokens(latents)
        text, video = features[:, : -layout.video], features[:, -layout.video :]
        heads = video.unflatten(2, (layout.heads, -1)).transpose(1, 2)  # (B, H, N, d)
        turned = apply_rotary_emb(heads, rotary).transpose(1, 2).flatten(2)
        return torch.cat([text, turned], dim=1)

    def processor(self, attend: Attend) -> OpenCogVideoX:
        return OpenCogVideoX(attend)
