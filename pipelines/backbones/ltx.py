"""LTX-Video text to video: flow matching, self-attention over video tokens, cross-attention to text. Latents inside are (B, N, C)."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import LTXPipeline
from diffusers.pipelines.ltx.pipeline_ltx import calculate_shift
from torch import Tensor

from pipelines.backbones.base import Backbone
from pipelines.backbones.layout import AttentionBlock, TokenLayout, crossed_block
from pipelines.backbones.processors import Attend, OpenLTX, rotate_pairs, split_angles
from pipelines.backbones.schedule import Schedule, ShiftedSchedule
from pipelines.errors import NotAvailable

MAX_TEXT = 128
"""Text tokens of LTXPipeline. A tokenizer that declares fewer (`model_max_length`) was trained with fewer."""

SHIFT = {"base_image_seq_len": 256, "max_image_seq_len": 4096, "base_shift": 0.5, "max_shift": 1.15}
"""Fields of the scheduler that say how the shift grows with the tokens, and what LTXPipeline takes where they are missing."""

DECODE_SEED = 0


class LTXBackbone(Backbone):
    """LTXPipeline.

    The transformer is to see the words of a prompt and not its padding. The states of padding are zero here, as Wan's are, and
    zero states are hidden from the attention: so a text stays one tensor, and what is hidden is known wherever it goes.

    Attributes:
        frame_rate: frames per second that positions in time are told in; the pipeline's own default.
        decode_timestep, decode_noise: level that a VAE with timestep conditioning decodes at, and share of noise that latents get
            for it (the documentation of diffusers, for LTX-Video 0.9.1 and later). Other VAEs do without.
    """

    family = "ltx"

    def __init__(self, pipeline: LTXPipeline, device: str = "cpu", placement: str = "cpu", colours: Path | None = None) -> None:
        config = pipeline.transformer.config
        if (config.patch_size, config.patch_size_t) != (1, 1):
            raise NotAvailable("This folder holds an LTX model that joins latents into patches: choose one of the published models.")
        super().__init__(pipeline, device, placement, colours)
        self.frame_rate = 25.0
        self.decode_timestep, self.decode_noise = 0.05, 0.025

    @classmethod
    def _pipeline_class(cls) -> type[LTXPipeline]:
        return LTXPipeline

    # --- text --------------------------------------------------------------------------------------------------

    @property
    def text_length(self) -> int:
        return min(MAX_TEXT, self.pipeline.tokenizer.model_max_length)

    def read_text(self, prompts: list[str]) -> Tensor:
        states, shown, *_ = self._encode_prompts(prompts)
        return states.masked_fill(~shown[..., None], 0)

    # --- video -------------------------------------------------------------------------------------------------

    @property
    def _scales(self) -> tuple[int, int]:
        return self.pipeline.vae_temporal_compression_ratio, self.pipeline.vae_spatial_compression_ratio

    def _normalise(self, latents: Tensor) -> Tensor:
        return self.pipeline._normalize_latents(latents, self.vae.latents_mean, self.vae.latents_std, self.vae.config.scaling_factor)

    def _denormalise(self, latents: Tensor) -> Tensor:
        return self.pipeline._denormalize_latents(latents, self.vae.latents_mean, self.vae.latents_std, self.vae.config.scaling_factor)

    def _decode(self, latents: Tensor) -> Tensor:
        """As LTXPipeline, but with noise of a fixed seed: a decoder may also add noise of its own to its layers."""
        with torch.random.fork_rng([] if self.device == "cpu" else [self.device]):
            torch.manual_seed(DECODE_SEED)
            if not self.vae.config.timestep_conditioning:
                return super()._decode(latents)
            noise = self._draw(tuple(latents.shape), torch.Generator("cpu").manual_seed(DECODE_SEED), latents.dtype)
            level = torch.full((len(latents),), self.decode_timestep, device=latents.device, dtype=latents.dtype)
            return self.vae.decode(torch.lerp(latents, noise, self.decode_noise), level, return_dict=False)[0]

    # --- denoising ---------------------------------------------------------------------------------------------

    def schedule(self, steps: int, latents: Tensor, seed: int = 0) -> Schedule:
        config = self.pipeline.scheduler.config
        shift = calculate_shift(self.tokens(latents).video, *(config.get(name, value) for name, value in SHIFT.items()))
        return ShiftedSchedule(self.pipeline.scheduler, steps, self.device, shift)

    def denoise(self, latents: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        prediction = self.transformer(
            hidden_states=_pack(latents).to(self.dtype),
            encoder_hidden_states=text,
            timestep=timestep.expand(len(latents)),
            encoder_attention_mask=text.any(-1),  # padding is zero
            **self._grid(latents),
            return_dict=False,
        )[0]
        return prediction.float().transpose(1, 2).unflatten(2, latents.shape[2:])

    def _grid(self, latents: Tensor) -> dict[str, object]:
        """Where the tokens are, as the transformer wants to be told."""
        time, space = self._scales
        sizes = dict(zip(("num_frames", "height", "width"), latents.shape[2:], strict=True))
        return sizes | {"rope_interpolation_scale": (time / self.frame_rate, space, space)}

    # --- inside ------------------------------------------------------------------------------------------------

    def blocks(self) -> list[AttentionBlock]:
        parents = enumerate(self.transformer.transformer_blocks)
        return [crossed_block(index, f"transformer_blocks.{index}", parent, self.device, self.dtype) for index, parent in parents]

    def tokens(self, latents: Tensor) -> TokenLayout:
        return TokenLayout(0, *latents.shape[2:], self.transformer.config.num_attention_heads, self.text_length)

    def rotate(self, features: Tensor, latents: Tensor) -> Tensor:
        """RoPE of LTXVideoAttnProcessor."""
        heads = self.transformer.config.num_attention_heads
        angles = split_angles(self.transformer.rope(_pack(latents[:1]), **self._grid(latents)), heads)
        return rotate_pairs(features.unflatten(2, (heads, -1)), *angles).flatten(2)

    def processor(self, attend: Attend) -> OpenLTX:
        return OpenLTX(attend)


def _pack(latents: Tensor) -> Tensor:
    """(B, C, T', H', W') -> (B, N, C)."""
    return latents.flatten(2).transpose(1, 2)
