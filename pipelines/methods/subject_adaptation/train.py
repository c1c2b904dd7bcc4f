"""Coarse appearance adaptation (V-Warper, section 4.1): a LoRA on key, value and output projections and one word, from single pictures."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import Accelerator
from peft import LoraConfig, set_peft_model_state_dict
from torch import Tensor

from pipelines.backbones.adapters import lora, lora_weights, read_lora, save_lora, trainable
from pipelines.backbones.words import embedding_of, extra_word
from pipelines.events import Event, Preview, Progress
from pipelines.methods.subject_adaptation.pictures import fit
from pipelines.methods.subject_adaptation.subject import ADAPTER, TOKEN, Subject, read_token, write_card, write_references

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

TEMPLATES = ("a photo of {}", "a picture of {}", "{}", "a {}", "a close view of {}", "the {}")
"""Prompts of the training; the paper gives none."""

PROJECTIONS = {"query": "to_q", "key": "to_k", "value": "to_v", "output": "to_out.0"}
LEVELS = 1000
WIDTH_PER_RANK = 24
"""The paper's rank 128 at CogVideoX-5B's width of 3072; the same share of any other width."""

SMALLEST_RANK = 4
CHECKPOINT = "training.pt"
SAVE_EVERY = 45.0
"""Seconds between checkpoints."""


@dataclass(frozen=True)
class Plan:
    """Settings of an adaptation.

    Attributes:
        steps: total, those of an earlier training of the same subject included.
        batch: pictures per step.
        rate, token_rate: learning rates of AdamW for the LoRA and for the word (paper: 1e-4 and 5e-4).
        height, width: pixels that pictures are cut to.
        sample_every: steps between sample pictures, 0 for none.
        sample_prompt: of the samples, with the subject's token.
        loss_every: steps averaged into one value of the loss curve.
    """

    steps: int
    batch: int = 4
    rate: float = 1e-4
    token_rate: float = 5e-4
    height: int = 64
    width: int = 64
    sample_every: int = 0
    sample_prompt: str = ""
    loss_every: int = 10


@dataclass
class State:
    """What a training holds: saved together, restored together."""

    word: torch.nn.Parameter
    optimiser: torch.optim.Optimizer
    step: int = 0
    losses: list[float] = field(default_factory=list)


def rank_of(backbone: Backbone) -> int:
    """128 at a width of 3072, in proportion elsewhere."""
    return max(SMALLEST_RANK, round(backbone.blocks()[0].attention.inner_dim / WIDTH_PER_RANK))


def adapt(backbone: Backbone, subject: Subject, pictures: Sequence[np.ndarray], folder: Path, plan: Plan) -> Iterator[Event]:
    """Train `subject` on pictures (H, W, 3) uint8 and keep it in `folder`; goes on where an earlier training there ended.

    Yields Progress, Preview "loss" (the curve so far) and Preview "sample". Closing the iterator stops and keeps what was learnt.
    The model is as it was afterwards, whatever happens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_references(folder, list(pictures))
    yield Progress("encoding the pictures")
    clean = torch.cat([backbone.encode_video(fit(picture, plan.height, plan.width)[None]) for picture in pictures])
    config = LoraConfig(r=subject.rank, lora_alpha=subject.alpha, target_modules=[PROJECTIONS[part] for part in subject.adapts])
    word = torch.nn.Parameter(embedding_of(backbone, subject.class_word).to(backbone.device))
    with ExitStack() as stack:
        stack.enter_context(extra_word(backbone, subject.token, word))
        with torch.random.fork_rng():  # the adapter's first weights are drawn from the global generator
            torch.manual_seed(subject.seed)
            stack.enter_context(lora(backbone, config))
        training = Training(backbone, subject, config, clean, word, folder, plan)
        training.restore()
        yield from stack.enter_context(closing(training.run()))


class Training:
    """The loop, with the adapter and the word on the model already."""

    def __init__(
        self, backbone: Backbone, subject: Subject, config: LoraConfig, clean: Tensor, word: torch.nn.Parameter, folder: Path, plan: Plan
    ) -> None:
        self.backbone, self.subject, self.config, self.clean, self.folder, self.plan = backbone, subject, config, clean, folder, plan
        self.schedule = backbone.schedule(LEVELS, clean[:1])
        groups = [{"params": trainable(backbone), "lr": plan.rate}, {"params": [word], "lr": plan.token_rate, "weight_decay": 0.0}]
        self.state = State(word, torch.optim.AdamW(groups))
        self.accelerator = Accelerator(mixed_precision="no", cpu=backbone.device == "cpu")

    def run(self) -> Iterator[Event]:
        """Train to the planned step; saves on the way and at the end, also when closed."""
        state, plan, began, saved = self.state, self.plan, time.perf_counter(), time.perf_counter()
        first, recent = state.step, []
        yield Progress("training", state.step, plan.steps)
        try:
            while state.step < plan.steps:
                recent.append(self._update())
                state.step += 1
                if state.step % plan.loss_every == 0 or state.step == plan.steps:
                    state.losses.append(float(np.mean(recent)))
                    recent.clear()
                    yield Preview("curve", "loss", state.step, np.array(state.losses))
                if plan.sample_every and state.step % plan.sample_every == 0:
                    yield Preview("frames", "sample", state.step, self._sample())
                if time.perf_counter() - saved > SAVE_EVERY:
                    self.save()
                    saved = time.perf_counter()
                pace = (time.perf_counter() - began) / (state.step - first)
                yield Progress("training", state.step, plan.steps, pace * (plan.steps - state.step))
        finally:
            self.save()

    @torch.enable_grad()
    def _update(self) -> float:
        """One step at levels and on pictures drawn from the seed and the step's number, so that it repeats after an interruption."""
        state, plan, backbone = self.state, self.plan, self.backbone
        draw = np.random.default_rng((self.subject.seed, state.step))
        generator = torch.Generator().manual_seed(self.subject.seed * 1_000_003 + state.step)
        clean = self.clean[torch.from_numpy(draw.integers(len(self.clean), size=plan.batch))]
        noise = torch.randn(clean.shape, generator=generator).to(clean.device, clean.dtype)
        indices = [int(index) for index in draw.integers(LEVELS, size=plan.batch)]
        levels = [self.schedule.level(index) for index in indices]
        pairs = list(zip(levels, clean, noise, strict=True))
        noisy, target = (torch.stack([make(level)(x, e) for level, x, e in pairs]) for make in (lambda at: at.mix, lambda at: at.target))
        words = [TEMPLATES[int(draw.integers(len(TEMPLATES)))].format(self.subject.phrase) for _ in indices]
        with self.accelerator.autocast():
            prediction = backbone.denoise(noisy, self.schedule.timesteps[torch.tensor(indices)], backbone.read_text(words))
        loss = (prediction.float() - target.float()).square().mean()
        state.optimiser.zero_grad()
        self.accelerator.backward(loss)
        state.optimiser.step()
        return loss.item()

    def _sample(self) -> np.ndarray:
        """(1, H, W, 3): the sample prompt with what has been learnt so far, always from the same noise."""
        from pipelines.methods.generate.picture import draw_picture

        self.backbone.forget_text()
        return draw_picture(self.backbone, self.plan.sample_prompt, self.plan.height, self.plan.width, self.subject.seed)

    # --- on disk -----------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write adapter, word, card and checkpoint, each whole or not at all, the checkpoint last."""
        from safetensors.torch import save_file

        state, weights = self.state, lora_weights(self.backbone)
        save_lora(self.backbone, self.folder / ADAPTER, self.config, weights)
        save_file({self.subject.token: state.word.detach().cpu().contiguous()}, self.folder / TOKEN)
        card = {"steps": state.step, "losses": tuple(state.losses), "loss_every": self.plan.loss_every}
        write_card(self.folder, self.subject.model_copy(update=card))
        values: dict[str, Any] = {"step": state.step, "losses": state.losses, "lora": weights, "word": state.word.detach().cpu()}
        partial = self.folder / f"{CHECKPOINT}.tmp"
        torch.save(values | {"optimiser": state.optimiser.state_dict()}, partial)
        os.replace(partial, self.folder / CHECKPOINT)

    def restore(self) -> None:
        """Go on from the checkpoint in the folder; from adapter and word, with a fresh optimiser, where they came without one."""
        file = self.folder / CHECKPOINT
        if not file.exists():
            self._restore_from_card()
            return
        values = torch.load(file, weights_only=True, map_location="cpu")
        set_peft_model_state_dict(self.backbone.transformer, values["lora"], adapter_name="subject")
        with torch.no_grad():
            self.state.word.copy_(values["word"])
        self.state.optimiser.load_state_dict(values["optimiser"])
        self.state.step, self.state.losses = values["step"], list(values["losses"])

    def _restore_from_card(self) -> None:
        if not self.subject.steps:
            return
        _, weights = read_lora(self.folder / ADAPTER)
        set_peft_model_state_dict(self.backbone.transformer, weights, adapter_name="subject")
        with torch.no_grad():
            self.state.word.copy_(read_token(self.folder, self.subject))
        self.state.step, self.state.losses = self.subject.steps, list(self.subject.losses)
