"""A teacher for the text encoders: what a caption says has to be told from its states alone.

Words that change little of the picture, such as left or right, teach a text encoder next to nothing through the video
model's error: their states stay alike, and the model never learns to look at them. The encoder is therefore first
trained on captions alone, of which there are as many as one likes, and asked for the same while the video model learns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipelines.playground.captions import caption
from pipelines.playground.scene import TRAIN_SEEDS, Scene, sample_scene
from pipelines.playground.subjects import looks
from pipelines.playground.train.looking import naming
from pipelines.playground.train.run import Budget
from pipelines.playground.train.teaching import teach
from pipelines.playground.train.tokenizer import MAX_TOKENS

CAPTIONS = 64
"""Captions in a step of its own training."""

SHARE = 0.03
"""Of the budget, for its own training."""

WEIGHT = 0.1
"""Of its word in the video model's loss."""

Encode = Callable[[Tensor, Tensor], Tensor]
"""Tokens (B, L) and their mask -> text states (B, L, D)."""


class Reader(nn.Module):
    """Text states (B, L, D) -> attribute -> logits, from their mean.

    Args:
        encoder: the text encoder, trained with it.
        names: attribute -> the names it takes.
    """

    def __init__(self, encoder: PreTrainedModel, names: dict[str, list[str]]) -> None:
        super().__init__()
        self.names, self.encoder = names, encoder
        width = encoder.config.d_model
        self.heads = nn.ModuleDict({name.replace(" ", "_"): nn.Linear(width, len(values)) for name, values in names.items()})

    def forward(self, states: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Logits (B, N) of each attribute; what lies behind a prompt's end, where mask (B, L) is 0, is not read."""
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return {name: self.heads[name.replace(" ", "_")](mean) for name in self.names}

    def disagreement(self, states: Tensor, mask: Tensor, said: dict[str, Tensor]) -> Tensor:
        """Cross-entropy between what it reads and what the captions say; `said` holds -1 where they say nothing."""
        return naming(self(states, mask), said)


def said(scene: Scene, *, moving: bool) -> dict[str, str]:
    """Attribute -> name of what a caption of `scene` says; of subjects only where there is one."""
    labels = scene.labels()
    of_scene = {name: labels[name] for name in ("background", "effect", *(["camera"] if moving else []))}
    if len(scene.subjects) > 1:
        return of_scene
    return of_scene | looks(scene.subjects[0]) | ({"motion": scene.subjects[0].motion} if moving else {})


def indices(each: Sequence[dict[str, str]], names: dict[str, list[str]]) -> dict[str, Tensor]:
    """Attribute -> (B,) index in `names` of what each caption says; -1 where it says nothing of it, or what `names` does not have."""
    return {
        name: torch.tensor([values.index(one[name]) if one.get(name) in values else -1 for one in each]) for name, values in names.items()
    }


def train_reader(
    encoder: PreTrainedModel, encode: Encode, tokenizer: PreTrainedTokenizerBase, names: dict[str, list[str]], folder: Path,
    budget: Budget, device: str, *, resume: bool = True, seed: int = 0,
) -> Reader:  # fmt: skip
    """A reader with frozen heads and its encoder, which goes on learning; prints how well it reads.

    Its training takes SHARE of the budget; `folder` holds its checkpoint.
    """
    torch.manual_seed(seed)
    reader = Reader(encoder, names).to(device)

    def loss(step: int) -> Tensor:
        ids, mask, wanted = _captions(tokenizer, names, np.random.default_rng((seed, 9, step)), device)
        return reader.disagreement(encode(ids, mask), mask, wanted)

    teach(reader, "reader", folder, budget.part(SHARE), loss, resume=resume, seed=seed)
    told = _right(reader, encode, tokenizer, seed)
    print("the reader is right about " + ", ".join(f"{name} {share:.0%}" for name, share in told.items()), flush=True)
    encoder.requires_grad_(True).train()
    return reader


@torch.no_grad()
def _right(reader: Reader, encode: Encode, tokenizer: PreTrainedTokenizerBase, seed: int, batches: int = 8) -> dict[str, float]:
    """Attribute -> share 0..1 of captions of its training that it reads rightly."""
    counts: dict[str, list[Tensor]] = {name: [] for name in reader.names}
    device = str(next(reader.parameters()).device)
    for batch in range(batches):
        ids, mask, wanted = _captions(tokenizer, reader.names, np.random.default_rng((seed, 10, batch)), device)
        read = reader(encode(ids, mask), mask)
        for name, places in wanted.items():
            counts[name].append((read[name].argmax(1) == places)[places >= 0].float())
    return {name: torch.cat(parts).mean().item() for name, parts in counts.items()}


def _captions(
    tokenizer: PreTrainedTokenizerBase, names: dict[str, list[str]], draw: np.random.Generator, device: str
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Tokens, mask and what is said of CAPTIONS captions of training scenes, every fourth as of a single frame."""
    scenes = [sample_scene(int(seed)) for seed in draw.integers(TRAIN_SEEDS.start, TRAIN_SEEDS.stop, CAPTIONS)]
    moving = [index % 4 > 0 for index in range(CAPTIONS)]
    words = [caption(scene, moving=moves) for scene, moves in zip(scenes, moving, strict=True)]
    wanted = indices([said(scene, moving=moves) for scene, moves in zip(scenes, moving, strict=True)], names)
    ids, mask = tokens_of(tokenizer, words, device)
    return ids, mask, {name: places.to(device) for name, places in wanted.items()}


def tokens_of(tokenizer: Any, words: list[str], device: str) -> tuple[Tensor, Tensor]:
    """(B, MAX_TOKENS) tokens of prompts and their mask."""
    tokens = tokenizer(words, padding="max_length", max_length=MAX_TOKENS, truncation=True, return_tensors="pt")
    return tokens.input_ids.to(device), tokens.attention_mask.to(device)
