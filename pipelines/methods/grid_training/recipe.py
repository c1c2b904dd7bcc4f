"""All settings of the trainings of grid adapters, with the paper's defaults (Grid composition, section 4.3). No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from pipelines.methods.grid.names import DROPOUT, QUERIES, RANK, TARGETS, Kind

if TYPE_CHECKING:
    from pipelines.playground.train.run import Budget

Length = Literal["still", "short", "whole"]
"""Of the clips of a step: their first frame, their first half, or all."""

STEPS: Mapping[Kind, int] = MappingProxyType({"dynamic": 3000, "consistent": 3000, "composition": 2000, "fill": 3900})
"""Kind -> updates in the paper; it gives none for dynamic concepts."""

VISIBLE = (0.1, 0.6, 0.2, 0.1)
"""How often a grid of four has so many visible cells, from none; with none it is sampled, which filling begins with at inference too."""


@dataclass(frozen=True)
class Recipe:
    """Settings of a training.

    Attributes:
        budget: how long, see `Budget`.
        kind: of the adapter.
        layout: of the grids.
        rank, dropout: of the adapter; rank in channels, as in the paper, which does not tell its model's width.
        targets: ends of the names of the layers that it changes; empty: the kind's own.
        rate, betas, weight_decay, longest: of AdamW, constant, and the norm that gradients are cut to.
        warm_steps, floor: the rate rises over the first steps and falls along a cosine to `floor` of itself; 1: it stays.
        token_drop: share of the text tokens that are left out, one by one.
        no_text: share of grids without any text, so that there is something to guide away from.
        brief: how often a clause says only what is other in its cell.
        shared: how often what all cells show is said once, before the clauses.
        structured: whether each cell attends to its own words only.
        visible: how often so many cells are visible (Grid-Fill).
        noise_scale: of the noise of missing cells, relative to the model's.
        shift: of the noise levels, which are logit-normal; None: that of the model's own schedule.
        stills, stills_first: share of steps about single frames, and share of the budget in which all are.
        short_until: share of the budget until which clips are cut to their first half, of which a step holds twice as many.
        batch, batch_of_stills: grids in a step.
        set_share: of the budget, for the first of both stages of dynamic concepts.
        sampled: share of grids that were drawn by the Grid LoRA, where there are any.
        sample_every, loss_every: steps between samples (0: none), and averaged into one value of the curve.
        seed: of everything that is drawn.
    """

    budget: Budget
    kind: Kind = "fill"
    layout: str = "2x2"
    rank: int = RANK
    dropout: float = DROPOUT
    targets: tuple[str, ...] = ()
    rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    longest: float = 0.05
    warm_steps: int = 1
    floor: float = 1.0
    token_drop: float = 0.6
    no_text: float = 0.1
    brief: float = 0.3
    shared: float = 0.2
    structured: bool = True
    visible: tuple[float, ...] = VISIBLE
    noise_scale: float = 1.0
    shift: float | None = None
    stills: float = 0.0
    stills_first: float = 0.0
    short_until: float = 0.0
    batch: int = 1
    batch_of_stills: int = 4
    set_share: float = 0.5
    sampled: float = 0.5
    checkpointing: bool = False
    sample_every: int = 0
    loss_every: int = 10
    seed: int = 0

    @property
    def layers(self) -> tuple[str, ...]:
        """Ends of the names of the layers that the adapter changes."""
        return self.targets or (QUERIES if self.kind in ("consistent", "composition") else TARGETS)

    @property
    def routed(self) -> bool:
        """Whether cells attend to their own words only; the paper's consistent mode has no mask."""
        return self.structured and self.kind != "consistent"

    def plain(self) -> dict[str, str | int | float | bool | None]:
        """All settings as numbers and words by name."""
        values = asdict(self)
        budget = values.pop("budget")
        listed = {name: " ".join(map(str, values.pop(name))) for name in ("targets", "betas", "visible")}
        return values | listed | {"budget in minutes": budget["minutes"], "budget in steps": budget["steps"]}

    def length(self, u: float, progress: float) -> Length:
        """What a step is about, for u uniform in 0..1 and the share 0..1 of the budget that is used."""
        if progress < self.stills_first or u < self.stills:
            return "still"
        return "short" if progress < self.short_until else "whole"

    def grids(self, length: Length) -> int:
        """How many grids a step of this length holds."""
        return {"still": self.batch_of_stills, "short": 2 * self.batch, "whole": self.batch}[length]
