"""Grid-Fill: cells that are there enter clean and stay as they are, the others are drawn (Grid composition, section 3.3).

The paper's mask stands on the network's input; in which form the visible cells reach the network it does not say. Ours: as clean
latents, at noise 0, and the network is told so token by token. The training does the same, see `grid_training.losses`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipelines.methods.grid.layout import Layout

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


@dataclass(frozen=True)
class Given:
    """What of a grid is there already.

    Attributes:
        clean: (B, C, T', H', W') latents of the visible cells, anything elsewhere.
        missing: (B or 1, 1, 1, H', W') bool, M of the paper: where cells are to be drawn.
    """

    clean: Tensor
    missing: Tensor

    def enter(self, latents: Tensor) -> Tensor:
        """`latents` with the visible cells in their places, to the bit."""
        return torch.where(self.missing, latents, self.clean.to(latents.dtype))


def given_of(layout: Layout, cells: Mapping[int, Tensor], like: Tensor) -> Given:
    """The visible cells in their places.

    Args:
        cells: number of the cell -> its latents (1, C, T', h', w'), each encoded from its own pixels.
        like: (1, C, T', H', W') latents of the whole grid.
    """
    clean, missing = torch.zeros_like(like), torch.ones(1, 1, 1, *like.shape[-2:], dtype=torch.bool, device=like.device)
    places, marks = layout.cut(clean), layout.cut(missing)
    for number, latents in cells.items():
        places[number].copy_(latents)
        marks[number].fill_(False)
    return Given(clean, missing)


def token_times(backbone: Backbone, missing: Tensor, timestep: Tensor, frames: int) -> Tensor:
    """(B, N) what each video token is told: `timestep` where cells are missing, 0 where they are clean.

    Args:
        missing: (B, 1, 1, H', W') bool; timestep: () or (B,); frames: T'.
    """
    layout = backbone.tokens(missing.expand(-1, -1, frames, -1, -1))
    step = missing.shape[-1] // layout.width
    marks = missing[:, 0, :, ::step, ::step].expand(-1, layout.frames, -1, -1).flatten(1)  # (B, N)
    return marks * timestep.float().reshape(-1, 1)


def denoise(backbone: Backbone, latents: Tensor, timestep: Tensor, text: Tensor, missing: Tensor) -> Tensor:
    """The transformer's prediction (B, C, T', H', W') for a grid of which some cells are clean.

    Args:
        latents: (B, C, T', H', W'), visible cells in their places.
        timestep: () or (B,) of the missing cells.
        text: (B, M, D).
        missing: see `Given`.
    """
    times = token_times(backbone, missing, timestep, latents.shape[2]).expand(len(latents), -1)
    return backbone.transformer(hidden_states=latents.to(backbone.dtype), timestep=times, encoder_hidden_states=text, return_dict=False)[0]


def guided(backbone: Backbone, latents: Tensor, timestep: Tensor, text: Tensor, empty: Tensor, guidance: float, missing: Tensor) -> Tensor:
    """Classifier-free guidance as `Backbone.guided`; both halves see the visible cells, the conditional one comes last."""
    if guidance <= 1:
        return denoise(backbone, latents, timestep, text, missing)
    both = denoise(backbone, torch.cat([latents, latents]), timestep, torch.cat([empty, text]), missing)
    without, wanted = both.chunk(2)
    return without + guidance * (wanted - without)
