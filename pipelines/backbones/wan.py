"""Wan2.1 text to video: flow matching, self-attention over video tokens and cross-attention to the text."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import WanPipeline
from torch import Tensor

from pipelines.backbones.base import Backbone
from pipelines.backbones.layout import AttentionBlock, TokenLayout, crossed_block
from pipelines.backbones.processors import Attend, OpenWan, rotate_pairs
from pipelines.errors import NotAvailable

MAX_TEXT = 512
"""Text tokens of WanPipeline. A tokenizer that declares fewer (`model_max_length`) was trained with fewer."""


class WanBackbone(Backbone):
    """WanPipeline with one transformer."""

    family = "wan"

    def __init__(self, pipeline: WanPipeline, device: str = "cpu", placement: str = "cpu", colours: Path | None = None) -> None:
        if pipeline.transformer_2 is not None or pipeline.config.expand_timesteps:
            raise NotAvailable("This folder holds a Wan2.2 model, which this version cannot run: choose a Wan2.1 model.")
        super().__init__(pipeline, device, placement, colours)
        _mend_scale(pipeline)

    @classmethod
    def _pipeline_class(cls) -> type[WanPipeline]:
        return WanPipeline

    @classmethod
    def _float32_parts(cls) -> tuple[str, ...]:
        return ("vae",)  # in bfloat16 it bands and drifts

    @property
    def text_length(self) -> int:
        return min(MAX_TEXT, self.pipeline.tokenizer.model_max_length)

    def _statistics(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation per channel, (1, C, 1, 1, 1)."""
        values = (self.vae.config.latents_mean, self.vae.config.latents_std)
        mean, deviation = (torch.tensor(value, device=latents.device, dtype=latents.dtype).view(1, -1, 1, 1, 1) for value in values)
        return mean, deviation

    def _normalise(self, latents: Tensor) -> Tensor:
        mean, deviation = self._statistics(latents)
        return (latents - mean) / deviation

    def _denormalise(self, latents: Tensor) -> Tensor:
        mean, deviation = self._statistics(latents)
        return latents * deviation + mean

    def denoise(self, latents: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        return self.transformer(
            hidden_states=latents.to(self.dtype),
            timestep=timestep.expand(len(latents)),
            encoder_hidden_states=text,
            return_dict=False,
        )[0]

    def blocks(self) -> list[AttentionBlock]:
        parents = enumerate(self.transformer.blocks)
        return [crossed_block(index, f"blocks.{index}", parent, self.device, self.dtype) for index, parent in parents]

    def tokens(self, latents: Tensor) -> TokenLayout:
        patch = self.transformer.config.patch_size
        frames, height, width = (size // step for size, step in zip(latents.shape[2:], patch, strict=True))
        return TokenLayout(0, frames, height, width, self.transformer.config.num_attention_heads, self.text_length)

    def rotate(self, features: Tensor, latents: Tensor) -> Tensor:
        """RoPE of WanAttnProcessor."""
        heads = features.unflatten(2, (self.transformer.config.num_attention_heads, -1))  # (B, N, H, d)
        return rotate_pairs(heads, *self.transformer.rope(latents)).flatten(2)

    def processor(self, attend: Attend) -> OpenWan:
        return OpenWan(attend)


def _mend_scale(pipeline: WanPipeline) -> None:
    """Set the pixels per latent that the VAE's levels give; its config says 8 unless its author thought of it."""
    config = pipeline.vae.config
    scale = 2 ** (len(config.dim_mult) - 1) * (config.patch_size or 1)
    if config.scale_factor_spatial != scale:
        pipeline.vae.register_to_config(scale_factor_spatial=scale)
        pipeline.vae.spatial_compression_ratio = scale
        pipeline.vae_scale_factor_spatial = scale
        pipeline.video_processor.register_to_config(vae_scale_factor=scale)
