"""Training of a face adapter on a frozen base (Lynx, section 3.2): pictures first, then clips, in packed sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.backbones.schedule import Level
from pipelines.events import Event
from pipelines.methods.face_identity.condition import Condition, conditions_of
from pipelines.methods.face_identity.loop import Drawn, FaceSettings, generate_face
from pipelines.methods.face_identity.reference import features_of, grey
from pipelines.methods.face_identity.weights import check_fits, save_adapter
from pipelines.methods.face_training.packed import packed_faces
from pipelines.methods.face_training.pairs import Pair, Pairs
from pipelines.playground.train.latents import near_subjects
from pipelines.playground.train.run import Budget, warm_then_cosine
from pipelines.training.base import draw_level, frozen
from pipelines.training.loop import Loop
from pipelines.training.packing import TOKENS, Sample, forward_packed, layout_of
from pipelines.training.team import Team, Trained, together

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone
    from pipelines.methods.face_identity.modules import FaceAdapter

CHECKPOINT = "training.pt"
PAPER_RATE, PAPER_WIDTH = 1e-5, 5120
"""Learning rate of AdamW (section 3.2.2), and the channels of the model that it was chosen for."""

SAMPLE_STEPS = 16

IdentityLoss = Callable[[Tensor, float, Tensor, Tensor], Tensor]
"""(estimate of the clean latents (1, C, T', H', W'), noise level 0..1, places of the face, embedding (E,)) -> (): see
`LatentRecogniser.disagreement`, which says why there is one."""


@dataclass(frozen=True)
class Plan:
    """Settings of a training; the defaults are the paper's, as far as it gives any.

    Attributes:
        budget: how long, see `Budget`.
        images: share of it that is about single frames only (40,000 of 100,000 steps).
        tokens: in a step, per device.
        rate, weight_decay: of AdamW.
        warm_steps, floor: the rate rises over the first steps and falls along a cosine to `floor` of itself; 1: it stays.
        stills: share of single frames once there are clips.
        no_face, no_text: how often the condition is nobody's, and the prompt empty, so that there is something to guide away from.
        one_alone: how often each of the two adapters has to do without the other, so that each can be used alone.
        shift: of the noise levels, which are logit-normal; None: that of the model's own schedule.
        identity, identity_until: weight of the direct identity loss, falling to nothing at that share of the budget.
        longest: norm that gradients are cut to.
        checkpointing: whether blocks are computed again in the backward pass instead of being remembered.
        sample_every: steps between samples, 0: none.
        seed: of everything that is drawn.
    """

    budget: Budget
    images: float = 0.4
    tokens: int = TOKENS
    rate: float = PAPER_RATE
    weight_decay: float = 0.01
    warm_steps: int = 100
    floor: float = 1.0
    stills: float = 0.2
    no_face: float = 0.1
    no_text: float = 0.1
    one_alone: float = 0.1
    shift: float | None = None
    identity: float = 0.0
    identity_until: float = 0.5
    longest: float = 1.0
    checkpointing: bool = False
    sample_every: int = 0
    loss_every: int = 10
    seed: int = 0


@dataclass(frozen=True)
class Sitter:
    """Whose samples are drawn on the way: a face as `conditions_of` takes it, and what is drawn of it."""

    embedding: np.ndarray
    picture: np.ndarray
    settings: FaceSettings


class Case(NamedTuple):
    """A pair as one step has it.

    Attributes:
        pair: it.
        level, sample: at which noise level it is seen, and how.
        target: (1, C, T', H', W') what should be predicted.
        embedding: (E,), zeros for nobody.
        features: of the reference, or of a grey picture; None: to be made from the pair's picture.
        shares: of the ID-adapter and the Ref-adapter, 1 or 0.
        somebody: whether there is a face.
    """

    pair: Pair
    level: Level
    sample: Sample
    target: Tensor
    embedding: Tensor
    features: tuple[Tensor, ...] | None
    shares: tuple[float, float]
    somebody: bool


def rate_for(backbone: Backbone) -> float:
    """The paper's rate at the paper's width, more in proportion for a narrower model, which needs it."""
    return PAPER_RATE * PAPER_WIDTH / backbone.blocks()[0].width("output")


def train(
    backbone: Backbone, adapter: FaceAdapter, pairs: Pairs, folder: Path, plan: Plan, *, work: Path | None = None,
    identity_loss: IdentityLoss | None = None, sitter: Sitter | None = None,
) -> Iterator[Event]:  # fmt: skip
    """Train `adapter` on `pairs` and keep it in `folder`; goes on where an earlier training of the same `work` ended.

    Yields Progress, Preview "loss" (the curve so far) and Preview "sample". Closing the iterator stops and keeps what was learnt.
    The base model is untouched, whatever happens.

    Args:
        work: folder of the checkpoint; None: `folder`.
        identity_loss: what the plan's `identity` weighs.
        sitter: whose samples are drawn, if the plan wants any.
    Raises UserError for an adapter that is for another model.
    """
    check_fits(adapter.sizes, backbone)
    with frozen(backbone.transformer, plan.checkpointing):
        training = Training(backbone, adapter, pairs, folder, plan, work or folder, identity_loss, sitter)
        with closing(training.run()) as events:
            yield from events


class Training:
    """The loop."""

    def __init__(
        self, backbone: Backbone, adapter: FaceAdapter, pairs: Pairs, folder: Path, plan: Plan, work: Path,
        identity_loss: IdentityLoss | None, sitter: Sitter | None,
    ) -> None:  # fmt: skip
        self.backbone, self.adapter, self.pairs, self.folder, self.plan, self.sitter = backbone, adapter, pairs, folder, plan, sitter
        self.nobody = tuple(features_of(backbone, [grey(adapter.card.crop)])[0]) if len(adapter.ref_layers) else None
        self.wordless = backbone.encode_text([""])
        scheduler = backbone.pipeline.scheduler.config
        self.shift = plan.shift if plan.shift is not None else scheduler.get("flow_shift", None) or scheduler.get("shift", None) or 1.0
        self.kind, self.times = scheduler.get("prediction_type", "flow_prediction"), scheduler.num_train_timesteps
        adapter.to(backbone.device).train().requires_grad_(True)
        self.team = Team(backbone.device, shares=True)
        self.module = self.team.join(Denoising(backbone, adapter, identity_loss))
        self.optimiser = torch.optim.AdamW(adapter.parameters(), lr=plan.rate, weight_decay=plan.weight_decay)
        self.trained = Trained(self.module, self.optimiser)
        self.loop = Loop(work / CHECKPOINT, {"trained": self.trained}, plan.budget, plan.loss_every, team=self.team)

    def run(self) -> Iterator[Event]:
        """Train until the budget is used; saves on the way and at the end, also when closed."""
        try:
            with closing(self.loop.run(self.update, "training", saved=self._keep, sample=self._sample)) as events:
                yield from events
        finally:
            self.adapter.eval().requires_grad_(False)

    @torch.enable_grad()
    def update(self, step: int, progress: float) -> float:
        """One step on pairs, levels and noise drawn from the seed and the step's number, so that it repeats after an interruption."""
        plan = self.plan
        for group in self.optimiser.param_groups:
            group["lr"] = warm_then_cosine(progress, step, peak=plan.rate, warm_steps=plan.warm_steps, floor=plan.floor)
        cases = self.cases(step, 1.0 if progress < plan.images else plan.stills)
        weight = plan.identity * max(0.0, 1 - progress / plan.identity_until) if plan.identity_until > 0 else 0.0
        self.optimiser.zero_grad()
        with ExitStack() as stack:  # open until the backward pass is over: checkpointed blocks run again in there
            loss = self.module(cases, weight, stack)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.adapter.parameters(), plan.longest)
        self.optimiser.step()
        return loss.item()

    def cases(self, step: int, stills: float) -> list[Case]:
        """What this step is about, on this process."""
        number = step * self.team.size + self.team.place
        draw = np.random.default_rng((176, self.plan.seed, number))
        return [self._case(pair, draw) for pair in self.pairs.pack(self.plan.seed, number, self.plan.tokens, stills)]

    def _case(self, pair: Pair, draw: np.random.Generator) -> Case:
        plan, device = self.plan, self.backbone.device
        sigma = draw_level(draw, self.shift)
        level = Level(1 - sigma, sigma, self.kind)
        clean = pair.latents.to(device, torch.float32)
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(int(draw.integers(2**62)))).to(device)
        somebody, spoken, both = (bool(value) for value in draw.uniform(size=3) >= (plan.no_face, plan.no_text, 2 * plan.one_alone))
        first = float(draw.integers(2))
        text = pair.text.to(device, self.backbone.dtype) if spoken else self.wordless
        return Case(
            pair=pair,
            level=level,
            sample=Sample(level.mix(clean, noise), torch.tensor(sigma * self.times, device=device), text),
            target=level.target(clean, noise),
            embedding=pair.embedding.to(device, torch.float32) * somebody,
            features=pair.features if somebody else self.nobody,
            shares=(1.0, 1.0) if both else (first, 1 - first),
            somebody=somebody,
        )

    def _keep(self) -> None:
        weights = {name.removeprefix("adapter."): value for name, value in self.trained.weights().items()}
        if self.team.first:
            save_adapter(self.adapter, self.folder, weights)

    def _sample(self, step: int) -> np.ndarray | None:
        """(T, H, W, 3) uint8: the sitter with what has been learnt so far."""
        if self.sitter is None or not self.plan.sample_every or step % self.plan.sample_every:
            return None
        with together(self.module):
            conditions = conditions_of(self.backbone, self.adapter, self.sitter.embedding, self.sitter.picture)
            *_, drawn = generate_face(self.backbone, self.adapter, conditions, self.sitter.settings)
        assert isinstance(drawn, Drawn)
        return self.backbone.decode_video(drawn.latents)


class Denoising(nn.Module):
    """An adapter on its frozen base, as one module that several processes can train together.

    Args:
        backbone, identity_loss: not trained, and no part of this module.
    """

    def __init__(self, backbone: Backbone, adapter: FaceAdapter, identity_loss: IdentityLoss | None) -> None:
        super().__init__()
        self.adapter = adapter
        self._beside = (backbone, identity_loss)

    def forward(self, cases: Sequence[Case], weight: float, stack: ExitStack) -> Tensor:
        """(): flow-matching loss of the cases, plus `weight` times the direct identity loss.

        Args:
            stack: keeps the edits of the model, which the backward pass may need.
        """
        backbone, identity_loss = self._beside
        samples = [case.sample for case in cases]
        layout, conditions = layout_of(backbone, samples), self._conditions(cases)
        shares = torch.tensor([case.shares for case in cases], device=backbone.device)
        stack.enter_context(packed_faces(backbone, self.adapter, conditions, layout, {"id": shares[:, 0], "ref": shares[:, 1]}))
        predictions = [made.float() for made in forward_packed(backbone, samples, layout)]
        loss = flow_loss(predictions, cases)
        if weight and identity_loss:
            loss = loss + weight * likeness_loss(predictions, cases, identity_loss)
        return loss

    def _conditions(self, cases: Sequence[Case]) -> list[Condition]:
        """Of each case, with gradients to the resampler."""
        tokens: Sequence[Tensor | None] = [None] * len(cases)
        if self.adapter.resampler is not None:
            tokens = self.adapter.resampler(torch.stack([case.embedding for case in cases])).split(1)
        features = self._features(cases) if len(self.adapter.ref_layers) else [None] * len(cases)
        return [Condition(*parts) for parts in zip(tokens, features, strict=True)]

    def _features(self, cases: Sequence[Case]) -> list[tuple[Tensor, ...]]:
        """Of each case's reference: given, or made now by the untouched base."""
        missing = [index for index, case in enumerate(cases) if case.features is None]
        made = features_of(self._beside[0], [cases[index].pair.picture for index in missing]) if missing else []
        fresh = dict(zip(missing, made, strict=True))
        device, dtype = self._beside[0].device, self._beside[0].dtype
        return [
            fresh[index] if case.features is None else tuple(block.to(device, dtype) for block in case.features)
            for index, case in enumerate(cases)
        ]


def flow_loss(predictions: Sequence[Tensor], cases: Sequence[Case]) -> Tensor:
    """(): squared error against the targets, faces counted more (`near_subjects`); each case counts by its size."""
    errors = [(made - case.target).square() for made, case in zip(predictions, cases, strict=True)]
    covers = [torch.zeros_like(case.target[:, :1]) if case.pair.cover is None else case.pair.cover.to(case.target) for case in cases]
    sizes = [error.numel() for error in errors]
    each = [near_subjects(error, cover) * size for error, cover, size in zip(errors, covers, sizes, strict=True)]
    return torch.stack(each).sum() / sum(sizes)


def likeness_loss(predictions: Sequence[Tensor], cases: Sequence[Case], identity_loss: IdentityLoss) -> Tensor:
    """(): mean of the identity loss over estimates of the clean latents, of those cases that have a face and know where."""
    asked = [(made, case) for made, case in zip(predictions, cases, strict=True) if case.somebody and case.pair.places is not None]
    said = [
        identity_loss(case.level.split(made, case.sample.latents)[0], case.level.noise, case.pair.places, case.embedding)
        for made, case in asked
    ]
    return torch.stack(said).mean() if said else predictions[0].new_zeros(())
