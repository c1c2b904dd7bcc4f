"""Set-and-sequence training of dynamic concepts (Grid composition, section 3.1): frames in no order, then whole clips.

Clips are learnt by name: prompts begin with the tags of the concept, [name_identity] and [action_motion].
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from pipelines.events import Event, Progress
from pipelines.methods.grid.card import Card
from pipelines.methods.grid.dynamic import DynamicConcepts, Stage, fresh_concepts, with_concepts
from pipelines.methods.grid.names import FILES
from pipelines.methods.grid.prompt import Clause
from pipelines.methods.grid.weights import save_concepts
from pipelines.methods.grid_training.losses import masked_flow, noise_like
from pipelines.methods.grid_training.recipe import Recipe
from pipelines.methods.grid_training.recorded import FRAMES, SIDE
from pipelines.methods.grid_training.world import Variant, concept_of
from pipelines.methods.subject_training.recorded import Recorded
from pipelines.playground.scene import WORLD
from pipelines.playground.train.latents import cover, fingerprint
from pipelines.playground.train.precision import mixed
from pipelines.playground.train.run import warm_then_cosine
from pipelines.training.base import draw_level, frozen
from pipelines.training.loop import Loop

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

CLIPS = 11
"""Of the paper: five people and six scenes."""

FRAMES_EACH = 6
"""Single frames of a clip that are learnt from, evenly spread."""

FIRST_CLIP = 40_000
"""Of the numbers of concepts: far from those that grids are made of."""


class Clips(Protocol):
    """Clips to be learnt by name."""

    def __len__(self) -> int: ...

    def prepare(self) -> Iterator[Progress]:
        """Make what is missing."""

    def clip(self, number: int, what: str) -> Tensor:
        """Of clip number 0..: "latents" (C, T', h, w), its "cover" (1, T', h, w), "frames" (K, C, 1, h, w) and their "covers"
        (K, 1, 1, h, w), "text" (L, D)."""


class RecordedClips:
    """CLIPS clips of the playground, see `Clips`.

    Args:
        cache: folder for those of all models.
        shape: frames, height and width of a clip in pixels.
    """

    def __init__(self, cache: Path, backbone: Backbone, count: int = CLIPS, shape: tuple[int, int, int] = (FRAMES, SIDE, SIDE)) -> None:
        mark = f"{fingerprint(backbone.vae)}-{fingerprint(backbone.pipeline.text_encoder)}-{'x'.join(map(str, shape))}"
        self.count = count
        folder = cache / f"world{WORLD}" / f"grids-{mark}" / "clips"
        self.kept = Recorded(folder, count, lambda number: clip_tensors(number, concept_of(FIRST_CLIP + number)[0], backbone, shape))

    def __len__(self) -> int:
        return self.count

    def prepare(self) -> Iterator[Progress]:
        """Make what is missing."""
        yield from self.kept.prepare("drawing clips")

    def clip(self, number: int, what: str) -> Tensor:
        """See `Clips.clip`."""
        return self.kept.tensor(number, what)


def clip_tensors(number: int, shown: Variant, backbone: Backbone, shape: tuple[int, int, int]) -> dict[str, Tensor]:
    """What is kept of a clip, see `Clips.clip`, in half precision."""
    rendering = shown.render(*shape)
    masks = np.round(rendering.masks.max(0) * 255).astype(np.uint8)
    moments = np.linspace(0, shape[0] - 1, FRAMES_EACH).round().astype(int)
    latents = backbone.encode_video(rendering.frames)[0]
    words = Clause(shown.full, f"{rendering.labels['kind']} {number}", rendering.labels["motion"]).said
    values = {
        "latents": latents,
        "cover": torch.from_numpy(cover(masks, latents.shape[1:])),
        "frames": torch.cat([backbone.encode_video(rendering.frames[[moment]]) for moment in moments]),
        "covers": torch.stack([torch.from_numpy(cover(masks[[moment]], (1, *latents.shape[2:]))) for moment in moments]),
        "text": backbone.encode_text([words])[0],
    }
    return {name: value.half().cpu() for name, value in values.items()}


def train_concepts(
    backbone: Backbone, clips: Clips, folder: Path, recipe: Recipe, *, base: str = "", work: Path | None = None
) -> Iterator[Event]:
    """Learn the concepts of `clips` and keep them in `folder`; goes on where a training of the same `work` ended.

    Yields Progress and Preview "loss". Closing the iterator stops and keeps what was learnt. The base model is untouched.
    """
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        adapter = fresh_concepts(backbone, recipe.rank, recipe.dropout, recipe.layers)
    with frozen(backbone.transformer, recipe.checkpointing):
        training = ConceptTraining(backbone, adapter, clips, folder, recipe, base, work or folder)
        with closing(training.run()) as events:
            yield from events


class ConceptTraining:
    """The loop over both stages; each has an optimiser of its own."""

    def __init__(
        self, backbone: Backbone, adapter: DynamicConcepts, clips: Clips, folder: Path, recipe: Recipe, base: str, work: Path
    ) -> None:
        self.backbone, self.adapter, self.clips, self.folder, self.recipe, self.base = backbone, adapter, clips, folder, recipe, base
        self.empty = backbone.encode_text([""])[0].float()
        scheduler = backbone.pipeline.scheduler.config
        self.shift = recipe.shift if recipe.shift is not None else scheduler.get("flow_shift", None) or scheduler.get("shift", None) or 1.0
        options = {"lr": recipe.rate, "betas": recipe.betas, "weight_decay": recipe.weight_decay}
        stages: tuple[Stage, Stage] = ("set", "sequence")
        self.optimisers = {stage: torch.optim.AdamW(adapter.train_stage(stage), **options) for stage in stages}
        parts = {"adapter": adapter, **self.optimisers}
        self.loop = Loop(work / "training-dynamic.pt", parts, recipe.budget, recipe.loss_every)

    def run(self) -> Iterator[Event]:
        """Train until the budget is used; saves on the way and at the end, also when closed."""
        with closing(self.loop.run(self.update, "training", saved=self._keep)) as events:
            yield from events

    def stage(self, progress: float) -> Stage:
        """Which stage that share 0..1 of the budget falls into."""
        return "set" if progress < self.recipe.set_share else "sequence"

    @torch.enable_grad()
    def update(self, step: int, progress: float) -> float:
        """One step; what is drawn comes from the seed and the step's number, so that it repeats after an interruption."""
        recipe, draw, stage = self.recipe, np.random.default_rng((204, self.recipe.seed, step)), self.stage(progress)
        optimiser, trained = self.optimisers[stage], self.adapter.train_stage(stage)
        for group in optimiser.param_groups:
            group["lr"] = warm_then_cosine(progress, step, peak=recipe.rate, warm_steps=recipe.warm_steps, floor=recipe.floor)
        clean, covers, text = self._drawn(draw, stage)
        sigma = torch.tensor([draw_level(draw, self.shift) for _ in clean], device=clean.device)
        noise, level = noise_like(clean, draw, 1.0), sigma.view(-1, 1, 1, 1, 1)
        optimiser.zero_grad()
        with torch.random.fork_rng(), with_concepts(self.backbone, self.adapter.train()), mixed(self.backbone.device):
            torch.manual_seed(int(draw.integers(2**62)))
            times = sigma * self.backbone.pipeline.scheduler.config.num_train_timesteps
            prediction = self.backbone.denoise((1 - level) * clean + level * noise, times, text.to(self.backbone.dtype))
            loss = masked_flow(prediction, clean, noise, torch.ones_like(clean[:1, :1], dtype=torch.bool), covers)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, recipe.longest)
        optimiser.step()
        return loss.item()

    def _drawn(self, draw: np.random.Generator, stage: Stage) -> tuple[Tensor, Tensor, Tensor]:
        """Latents (B, C, T', h, w), cover and text (B, L, D) of single frames or whole clips, some without words."""
        count = self.recipe.batch_of_stills if stage == "set" else self.recipe.batch
        rows = []
        for number in draw.integers(len(self.clips), size=count).tolist():
            latents, covers = (self.clips.clip(number, name) for name in (("frames", "covers") if stage == "set" else ("latents", "cover")))
            one = int(draw.integers(len(latents)))
            spoken = draw.uniform() >= self.recipe.no_text
            text = self.clips.clip(number, "text").float() if spoken else self.empty.cpu()
            rows.append((latents[one], covers[one], text) if stage == "set" else (latents, covers, text))
        latents, covers, text = (torch.stack(values).float().to(self.backbone.device) for values in zip(*rows, strict=True))
        return latents, covers, text

    def _keep(self) -> None:
        trained = {"steps": self.loop.step, "minutes": round(self.loop.seconds / 60, 1), "device": self.backbone.device}
        card = Card(kind="dynamic", base=self.base, structured=False, recipe=self.recipe.plain() | trained)
        save_concepts(self.adapter, self.folder / FILES["dynamic"], card)
