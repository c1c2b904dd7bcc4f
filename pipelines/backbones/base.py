"""The verbs that every family of video models offers, so that a method can write its own denoising loop in the paper's order.

Latents are always (B, C, T', H', W') and normalised, whatever a family's library uses inside. Frames are (T, H, W, 3) uint8 RGB.
A loop with these verbs and no edits gives the latents of the family's diffusers pipeline:

    text, empty = backbone.encode_text([prompt, negative]).chunk(2)
    latents = backbone.initial_noise(frames, height, width, seed)
    schedule = backbone.schedule(steps, latents, seed)
    for index, timestep in enumerate(schedule.timesteps):
        prediction = backbone.guided(latents, timestep, text, empty, guidance)
        latents = schedule.step(prediction, index, latents)
"""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from pipelines.backbones import latent_rgb
from pipelines.backbones.latent_rgb import LatentRGB
from pipelines.backbones.layout import AttentionBlock, TokenLayout
from pipelines.backbones.loading import load_pipeline
from pipelines.backbones.processors import Attend
from pipelines.backbones.schedule import Schedule

REMEMBERED_PROMPTS = 32
TILE_ABOVE = 640 * 960  # pixels of a frame above which a card decodes in overlapping tiles


class Backbone(ABC):
    """A loaded model.

    Attributes:
        family: "wan", "cogvideox", "ltx" or "animatediff".
        pipeline: the diffusers pipeline; `transformer` (the UNet, where the family has one) and `vae` are its parts.
        device, dtype: where and in which precision the transformer runs.
        decode_pace: seconds that decoding took per pixel of the clip, None before the first decoding.
    """

    family: ClassVar[str]

    def __init__(self, pipeline: Any, device: str = "cpu", placement: str = "cpu", colours: Path | None = None) -> None:
        self.pipeline, self.device, self.placement = pipeline, device, placement
        self.decode_pace: float | None = None
        self._texts: OrderedDict[str, Tensor] = OrderedDict()
        self._learnt = colours
        self._rgb = self._read_colours(colours)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu", placement: str = "cpu", home: Path | None = None) -> Self:
        """The model in the diffusers folder `folder`: float32 on the processor, bfloat16 on a card.

        Args:
            placement: "gpu", "offload", "low" or "cpu".
            home: data folder for preview colours learnt later; None keeps them in memory.
        Raises UserError naming the file when the folder is missing or damaged, or of a version that is not supported.
        """
        folder = Path(folder)
        pipeline = load_pipeline(cls._pipeline_class(), folder, device, placement, cls._float32_parts())
        given = folder / latent_rgb.FILE
        return cls(pipeline, device, placement, given if given.is_file() else _learnt_colours(folder, home))

    @property
    def transformer(self) -> Any:
        return self.pipeline.transformer

    @property
    def vae(self) -> Any:
        return self.pipeline.vae

    @cached_property
    def dtype(self) -> torch.dtype:
        """What the transformer computes in; asked once, because diffusers walks through all modules to tell."""
        return self.transformer.dtype

    # --- text --------------------------------------------------------------------------------------------------

    def encode_text(self, prompts: list[str]) -> Tensor:
        """Text states (B, L, D) as the pipeline computes them. Each prompt is encoded once and remembered."""
        rows = [self._remembered(prompt) for prompt in prompts]
        return torch.cat(rows).to(self.device, self.dtype)

    def read_text(self, prompts: list[str]) -> Tensor:
        """The same without memory and with gradients, for trainings that reach into the text encoder."""
        return self._encode_prompts(prompts)[0]

    def _encode_prompts(self, prompts: list[str]) -> tuple[Tensor, ...]:
        """What the pipeline's own function returns, text states first."""
        return self.pipeline.encode_prompt(
            prompts, do_classifier_free_guidance=False, max_sequence_length=self.text_length, device=self.device
        )

    def forget_text(self) -> None:
        """Drop remembered text states, after the text encoder or its tokens have changed."""
        self._texts.clear()

    def count_tokens(self, prompt: str) -> int:
        """Tokens of `prompt` with its end token; more than `text_length` are cut off."""
        return len(self.pipeline.tokenizer(prompt).input_ids)

    @property
    @abstractmethod
    def text_length(self) -> int:
        """Text tokens L that the transformer is given."""

    def _remembered(self, prompt: str) -> Tensor:
        if prompt not in self._texts:
            with torch.no_grad():
                self._texts[prompt] = self.read_text([prompt])
        self._texts.move_to_end(prompt)
        while len(self._texts) > REMEMBERED_PROMPTS:
            self._texts.popitem(last=False)
        return self._texts[prompt]

    # --- video -------------------------------------------------------------------------------------------------

    @property
    def _scales(self) -> tuple[int, int]:
        """Frames per latent frame, and pixels of a side per latent."""
        return self.pipeline.vae_scale_factor_temporal, self.pipeline.vae_scale_factor_spatial

    @torch.no_grad()
    def encode_video(self, frames: np.ndarray) -> Tensor:
        """frames (T, H, W, 3) uint8 -> normalised latents (1, C, T', H', W'), the mean of the posterior.

        T = 4k + 1, or 8k + 1 on LTX, or any on AnimateDiff.
        """
        video = torch.from_numpy(np.array(frames)).permute(3, 0, 1, 2)[None]  # (1, 3, T, H, W)
        video = video.to(self.device, self.vae.dtype) / 127.5 - 1
        self._tile(*frames.shape[1:3])
        return self._normalise(self._encode(video)).to(self.dtype)

    @torch.no_grad()
    def decode_video(self, latents: Tensor) -> np.ndarray:
        """Normalised latents (1, C, T', H', W') -> frames (T, H, W, 3) uint8; large frames in tiles."""
        started = time.perf_counter()
        scale = self._scales[1]
        self._tile(latents.shape[-2] * scale, latents.shape[-1] * scale)
        video = self._decode(self._denormalise(latents.to(self.device, self.vae.dtype)))
        video = (video[0].float() / 2 + 0.5).clamp(0, 1)
        frames = (video.permute(1, 2, 3, 0) * 255).round().to(torch.uint8).cpu().numpy()
        self.decode_pace = (time.perf_counter() - started) / max(frames[..., 0].size, 1)
        return np.ascontiguousarray(frames)

    def _encode(self, video: Tensor) -> Tensor:
        """Video (1, 3, T, H, W) in -1..1 -> what the VAE encodes to, (1, C, T', H', W')."""
        return self.vae.encode(video).latent_dist.mode()

    def _decode(self, latents: Tensor) -> Tensor:
        """What the VAE encodes to -> video (1, 3, T, H, W) in -1..1."""
        return self.vae.decode(latents, return_dict=False)[0]

    @abstractmethod
    def _normalise(self, latents: Tensor) -> Tensor:
        """What the VAE encodes to -> what the transformer works on."""

    @abstractmethod
    def _denormalise(self, latents: Tensor) -> Tensor:
        """The inverse of `_normalise`."""

    def _tile(self, height: int, width: int) -> None:
        """Tile on a card that is short of room or where frames are large; elsewhere keep the exact result."""
        small_card = self.placement in ("offload", "low")
        if self.device != "cpu" and (small_card or height * width > TILE_ABOVE):
            self.vae.enable_tiling()
        else:
            self.vae.disable_tiling()

    # --- previews ----------------------------------------------------------------------------------------------

    def preview(self, latents: Tensor) -> np.ndarray:
        """A quick look: latents (1, C, T', H', W') -> (T', H', W', 3) uint8 by a linear map, in false colours while there is none."""
        values = latents[0].float().cpu().numpy()
        return latent_rgb.false_colour(values) if self._rgb is None else self._rgb(values)

    @property
    def has_colours(self) -> bool:
        """Whether previews show true colours."""
        return self._rgb is not None

    def learn_colours(self, latents: Tensor, frames: np.ndarray) -> None:
        """Fit the preview's map to a finished clip and keep it; latents (1, C, T', H', W'), frames (T, H, W, 3) uint8."""
        self._rgb = latent_rgb.fit(latents[0].float().cpu().numpy(), frames)
        if self._learnt is not None:
            self._rgb.save(self._learnt)

    def _read_colours(self, path: Path | None) -> LatentRGB | None:
        return latent_rgb.read(path, self.transformer.config.in_channels) if path else None

    # --- denoising ---------------------------------------------------------------------------------------------

    def initial_noise(self, frames: int, height: int, width: int, seed: int) -> Tensor:
        """Latents (1, C, T', H', W') of pure noise: the numbers the pipeline draws with torch.Generator("cpu").manual_seed(seed).

        In float32, which flow-matching pipelines keep their latents in.
        """
        shape = (1, self.transformer.config.in_channels, *self._latent_grid(frames, height, width))
        return self._draw(shape, torch.Generator("cpu").manual_seed(seed))

    def _latent_grid(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """(T', H', W') of a clip of this size."""
        time, space = self._scales
        return (frames - 1) // time + 1, height // space, width // space

    def _draw(self, shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Tensor:
        """Noise as diffusers draws it: on the processor, then on the card."""
        return randn_tensor(shape, generator=generator, device=torch.device(self.device), dtype=dtype)

    def schedule(self, steps: int, latents: Tensor, seed: int = 0) -> Schedule:
        """The noise levels of one run, with a private copy of the scheduler.

        Args:
            seed: that of `initial_noise`; matters to stochastic schedulers, whose noise goes on where the initial noise ended.
        """
        return Schedule(self.pipeline.scheduler, steps, self.device)

    @abstractmethod
    def denoise(self, latents: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        """The transformer's prediction, (B, C, T', H', W'), for latents of the same shape, one timestep and text (B, L, D)."""

    def guided(self, latents: Tensor, timestep: Tensor, text: Tensor, empty_text: Tensor, guidance: float) -> Tensor:
        """Classifier-free guidance (Ho and Salimans 2022, eq. 6, as the pipelines write it): empty + guidance * (text - empty).

        Both halves go through the transformer in one batch, the conditional half last; guidance 1 runs that half alone.
        """
        if guidance <= 1:
            return self.denoise(latents, timestep, text)
        both = self.denoise(torch.cat([latents, latents]), timestep, torch.cat([empty_text, text]))
        without, given = both.chunk(2)
        return without + guidance * (given - without)

    # --- inside ------------------------------------------------------------------------------------------------

    @abstractmethod
    def blocks(self) -> list[AttentionBlock]:
        """The attention layers, first to last. Ask again after adapters were added: they replace modules."""

    @abstractmethod
    def tokens(self, latents: Tensor) -> TokenLayout:
        """The layout of the tokens for latents of this shape."""

    @abstractmethod
    def rotate(self, features: Tensor, latents: Tensor) -> Tensor:
        """RoPE as the blocks apply it to queries and keys: features (B, N, heads * d) -> the same shape, rotated copies."""

    @abstractmethod
    def processor(self, attend: Attend) -> Any:
        """A processor for the blocks' own attention that is the family's, with `attend` where the attention itself is."""

    def compile(self, **options: Any) -> None:
        """Compile block by block, so that all blocks share one graph and attention edits made later still count.

        Args:
            options: for torch.compile (backend, mode, fullgraph, dynamic).
        """
        import torch._dynamo

        # By default a hook added after compilation is silently ignored.
        torch._dynamo.config.skip_nnmodule_hook_guards = False
        for parent in {id(block.parent): block.parent for block in self.blocks()}.values():
            parent.compile(**options)

    @classmethod
    @abstractmethod
    def _pipeline_class(cls) -> type:
        """The diffusers pipeline of the family."""

    @classmethod
    def _float32_parts(cls) -> tuple[str, ...]:
        """Components that stay in float32 on a card."""
        return ()


def _learnt_colours(folder: Path, home: Path | None) -> Path | None:
    """Where colours learnt for the model in `folder` are kept: in the data folder, since a model's own may be read-only."""
    if home is None:
        return None
    mark = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    return home / "previews" / f"{folder.name}-{mark}.json"
