"""AnimateDiff text to video: a Stable Diffusion UNet with motion modules, latents of single frames, epsilon prediction.

Spatial attention looks within each frame, at the resolution of its level of the UNet, with the frames folded into the batch:
(B * T', h * w, C). Its layers are the blocks; the motion modules, which mix frames, are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AnimateDiffPipeline,
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor, nn

from pipelines.backbones.base import Backbone
from pipelines.backbones.layout import AttentionBlock, TokenLayout, crossed_block
from pipelines.backbones.processors import Attend, OpenSpatial
from pipelines.backbones.schedule import DiffusionSchedule, Schedule
from pipelines.errors import NotAvailable, UserError

LEVEL = (DDIMScheduler, DDPMScheduler, PNDMScheduler, LCMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler)
"""Schedulers that count in signal * x0 + noise * e."""

SPREAD = (EulerDiscreteScheduler, EulerAncestralDiscreteScheduler, LMSDiscreteScheduler)
"""Schedulers that count in x0 + sigma e and scale that to what the model is given by 1 / sqrt(sigma^2 + 1)."""

AT_ONCE = 4 * 512 * 512
"""Pixels that the image VAE works on at a time, so that memory does not grow with the length of the clip."""


GRAPHS = 64
"""Compiled graphs that the blocks may need: one per level and kind of edit."""


class AnimateDiffBackbone(Backbone):
    """AnimateDiffPipeline with a UNetMotionModel, or with a UNet and a motion adapter, which the pipeline joins.

    Any number of frames up to the length that the motion modules know; each has latents of its own, T' = T.
    """

    family = "animatediff"

    def __init__(self, pipeline: AnimateDiffPipeline, device: str = "cpu", placement: str = "cpu", colours: Path | None = None) -> None:
        config = pipeline.unet.config
        if config.in_channels != config.out_channels:
            raise NotAvailable("This folder holds an AnimateDiff model that starts from a picture: choose one that draws from text alone.")
        super().__init__(pipeline, device, placement, colours)

    @classmethod
    def _pipeline_class(cls) -> type[AnimateDiffPipeline]:
        return AnimateDiffPipeline

    @classmethod
    def _float32_parts(cls) -> tuple[str, ...]:
        return ("vae",)  # in half precision it bands

    @property
    def transformer(self) -> Any:
        """The UNet."""
        return self.pipeline.unet

    # --- text --------------------------------------------------------------------------------------------------

    @property
    def text_length(self) -> int:
        return self.pipeline.tokenizer.model_max_length

    def _encode_prompts(self, prompts: list[str]) -> tuple[Tensor, ...]:
        return self.pipeline.encode_prompt(prompts, self.device, num_images_per_prompt=1, do_classifier_free_guidance=False)

    # --- video -------------------------------------------------------------------------------------------------

    @property
    def _scales(self) -> tuple[int, int]:
        return 1, self.pipeline.vae_scale_factor

    def _normalise(self, latents: Tensor) -> Tensor:
        return latents * self.vae.config.scaling_factor

    def _denormalise(self, latents: Tensor) -> Tensor:
        return latents / self.vae.config.scaling_factor

    def _encode(self, video: Tensor) -> Tensor:
        chunks = _frames(video, video.shape[-2:])
        return _video([self.vae.encode(chunk).latent_dist.mode() for chunk in chunks])

    def _decode(self, latents: Tensor) -> Tensor:
        sides = [side * self._scales[1] for side in latents.shape[-2:]]
        return _video([self.vae.decode(chunk, return_dict=False)[0] for chunk in _frames(latents, sides)])

    # --- denoising ---------------------------------------------------------------------------------------------

    def initial_noise(self, frames: int, height: int, width: int, seed: int) -> Tensor:
        """As in the base; the pipeline's noise times `init_noise_sigma`, scaled to what the model is given first.

        Raises UserError for more frames than the motion modules know.
        """
        longest = self.transformer.config.motion_max_seq_length
        if frames > longest:
            raise UserError(f"This model draws at most {longest} frames at once: ask for a shorter clip.")
        shape = (1, self.transformer.config.in_channels, *self._latent_grid(frames, height, width))
        return self._noise(shape, torch.Generator("cpu").manual_seed(seed)).float() * self._first_scale()

    def _noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        return self._draw(shape, generator, self.pipeline.text_encoder.dtype)

    def _first_scale(self) -> float:
        """`init_noise_sigma` / sqrt(sigma^2 + 1) at the highest level, which is that of the training: the same for any steps."""
        if not self._is_spread():
            return 1.0
        fresh = type(self.pipeline.scheduler).from_config(self.pipeline.scheduler.config)
        return float(fresh.init_noise_sigma / (fresh.sigmas.max() ** 2 + 1) ** 0.5)

    def schedule(self, steps: int, latents: Tensor, seed: int = 0) -> Schedule:
        spread, generator = self._is_spread(), torch.Generator("cpu").manual_seed(seed)
        self._noise(tuple(latents.shape), generator)  # what the initial noise took
        return DiffusionSchedule(self.pipeline.scheduler, steps, self.device, generator, spread)

    def _is_spread(self) -> bool:
        """Whether the scheduler is one of SPREAD. Raises UserError if it is one of neither kind."""
        scheduler = self.pipeline.scheduler
        if not isinstance(scheduler, LEVEL + SPREAD):
            able = ", ".join(kind.__name__ for kind in LEVEL + SPREAD)
            raise UserError(f"This model comes with a {type(scheduler).__name__}, which is not supported: give its folder one of {able}.")
        return isinstance(scheduler, SPREAD)

    def denoise(self, latents: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        frames = latents.shape[2]
        prediction = self.transformer(
            latents.to(self.dtype),
            timestep,
            encoder_hidden_states=text.repeat_interleave(frames, dim=0),  # each frame attends to the text on its own
            return_dict=False,
        )[0]
        return prediction.float()

    # --- inside ------------------------------------------------------------------------------------------------

    def blocks(self) -> list[AttentionBlock]:
        """The spatial self-attention layers in the order in which they run: down, middle, up."""
        return [
            crossed_block(index, name, parent, self.device, self.dtype, coarser, folded=True)
            for index, (name, parent, coarser) in enumerate(self._spatial())
        ]

    def _spatial(self) -> Iterator[tuple[str, nn.Module, int]]:
        """(path, transformer block, how many times coarser than the latents per side) of all spatial attention."""
        for stage, module, level in self._stages():
            for path, part in module.named_modules():
                if path.startswith("attentions.") and isinstance(part, BasicTransformerBlock):
                    yield f"{stage}.{path}", part, 2**level

    def _stages(self) -> Iterator[tuple[str, nn.Module, int]]:
        """(path, module, level) of the UNet's stages; each but the last on the way down halves the sides at its end."""
        unet, lowest = self.transformer, len(self.transformer.down_blocks) - 1
        yield from ((f"down_blocks.{level}", module, level) for level, module in enumerate(unet.down_blocks))
        yield "mid_block", unet.mid_block, lowest
        yield from ((f"up_blocks.{index}", module, lowest - index) for index, module in enumerate(unet.up_blocks))

    def tokens(self, latents: Tensor) -> TokenLayout:
        """At the resolution of the latents; `block.tokens` gives each layer's own."""
        heads = self.transformer.config.num_attention_heads
        return TokenLayout(0, *latents.shape[2:], heads if isinstance(heads, int) else heads[0], self.text_length)

    def rotate(self, features: Tensor, latents: Tensor) -> Tensor:
        """A copy: there is no RoPE."""
        return features.clone()

    def processor(self, attend: Attend) -> OpenSpatial:
        return OpenSpatial(attend)

    def compile(self, **options: Any) -> None:
        """As in the base; blocks share one graph per level of the UNet."""
        import torch._dynamo

        # Four levels with two kinds of edits are the 8 graphs after which blocks would quietly run uncompiled.
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, GRAPHS)
        super().compile(**options)


def _frames(clip: Tensor, sides: Any) -> Iterator[Tensor]:
    """(1, C, T, h, w) -> frames (n, C, h, w), as many at a time as AT_ONCE allows for pictures of `sides` (pixels)."""
    return iter(clip[0].transpose(0, 1).split(max(1, AT_ONCE // (sides[0] * sides[1]))))


def _video(frames: list[Tensor]) -> Tensor:
    """Frames (n, C, h, w), piece by piece -> (1, C, T, h, w)."""
    return torch.cat(frames).transpose(0, 1)[None]
