"""A picture beside the clip in CogVideoX's sequence: text | reference | video.

The reference is handed to the transformer as one more frame in front. Its patches are embedded frame by frame, every layer but
attention works on each token by itself, and positions are those of T' + 1 slots; so frame 0 is the reference's own stream, clean but
modulated with the clip's timestep, and the prediction for it is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipelines.errors import UserError
from pipelines.methods.zero_shot_subject.names import FAMILY, OTHER_FAMILY

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


def predict(
    backbone: Backbone, latents: Tensor, timestep: Tensor, text: Tensor, reference: Tensor | None = None, *, kept: Tensor | None = None
) -> Tensor:
    """The transformer's prediction (B, C, T', H', W') for `latents` of that shape beside a reference (sections 3.3 and 3.4, Fig. 2).

    Rotary or sine-cosine positions: slot 0 for the reference, 1..T' for the video. Gradients run through it, also with checkpointing.

    Args:
        timestep: (B,), or one for all.
        text: (B, L, D).
        reference: (B or 1, C, 1, H', W') clean latents; None: exactly `backbone.denoise`.
        kept: (B, M) numbers of the reference's tokens, 0..h * w - 1, that stay in the sequence; None: all. With M = 0 it is the
            plain prediction with the video in slots 1..T'. That differs from `backbone.denoise`, also with rotary positions: they
            are relative among the video's tokens, but text tokens are not turned and stay where they are.
    Raises UserError for a model that has no such sequence.
    """
    check_stream(backbone)
    if reference is None:
        return backbone.denoise(latents, timestep, text)
    sequence = torch.cat([reference.to(latents).expand(len(latents), -1, -1, -1, -1), latents], 2)
    with ExitStack() as stack:
        if kept is not None:
            stack.enter_context(_keeping(backbone, sequence, kept))
        return backbone.denoise(sequence, timestep, text)[:, :, 1:]


def check_stream(backbone: Backbone) -> None:
    """Raise UserError unless a reference can go beside the clip in the sequence of `backbone`."""
    if backbone.family != FAMILY:
        raise UserError(OTHER_FAMILY)
    if backbone.transformer.config.use_learned_positional_embeddings:
        raise UserError("This CogVideoX model has learned positions and none for a reference: choose one of text to video.")


@contextmanager
def _keeping(backbone: Backbone, sequence: Tensor, kept: Tensor) -> Iterator[None]:
    """Within, frame 0 of `sequence` (B, C, 1 + T', H', W') has only the tokens `kept` (B, M) from the patch embedding to the last block.

    All that is hooked lies outside of the blocks, so that checkpointing may compute those again when the hooks are gone.
    """
    layout = backbone.tokens(sequence)
    side = layout.height * layout.width
    video = torch.arange(side, layout.video, device=sequence.device).expand(len(sequence), -1)
    order = torch.cat([kept.to(sequence.device), video], 1)  # (B, M + T' * h * w)
    transformer = backbone.transformer
    with ExitStack() as stack:
        for hook in (
            transformer.register_forward_pre_hook(partial(_with_their_angles, order), with_kwargs=True),
            transformer.patch_embed.register_forward_hook(partial(_chosen, order)),
            transformer.norm_final.register_forward_pre_hook(partial(_filled, side - kept.shape[1])),
        ):
            stack.callback(hook.remove)
        yield


def _with_their_angles(order: Tensor, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
    """Cosines and sines (B, 1, N, d) of the tokens that stay; diffusers puts axes in front, so that rows have their own."""
    rotary = kwargs["image_rotary_emb"]
    if rotary is None:
        return None
    return args, kwargs | {"image_rotary_emb": tuple(part[order][:, None] for part in rotary)}


def _chosen(order: Tensor, module: nn.Module, given: tuple[Tensor, ...], embedded: Tensor) -> Tensor:
    """Text and the tokens that stay, of embedded text and frames (B, L + (1 + T') * h * w, D)."""
    text, frames = embedded.tensor_split([given[0].shape[1]], 1)
    return torch.cat([text, frames.take_along_dim(order[..., None], 1)], 1)


def _filled(missing: int, module: nn.Module, given: tuple[Tensor]) -> tuple[Tensor]:
    """Zeros in the place of the tokens that are missing in frame 0, which nobody reads."""
    return (F.pad(given[0], (0, 0, missing, 0)),)
