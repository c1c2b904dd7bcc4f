"""The request of a training of grid adapters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipelines.methods.grid.names import DROPOUT, RANK
from pipelines.methods.grid_training.recipe import STEPS
from pipelines.requests import MAX_SEED, Request, setting

Stage = Literal["dynamic", "consistent", "composition", "fill"]
MOST_STEPS = 1_000_000


class TrainGridRequest(Request):
    """Learn to fill grids: adapters of the stages of the grid command.

    Attributes:
        folder: name of the folder that the adapters are kept in; a training that is there goes on.
    """

    method = "train-grid"
    package = "grid_training"
    by_model = ("width", "height", "frames", "fps", "rank", "rate")
    folder: str = Field("", max_length=400)

    stage: Stage = setting(
        "fill", label="Stage", choices=list(STEPS),
        help="Dynamic: concepts by name. Consistent, composition: whole grids. Fill: the rest of a grid after a clip.",
    )  # fmt: skip
    clips: str = setting(
        "", label="Clips", widget="text", max_length=400,
        help="A folder that holds a folder for each concept, with clips of it in mp4 and their words in text files beside them.",
    )  # fmt: skip
    drawn: int = setting(0, label="Drawn concepts", help="Learn from so many of the playground's world instead.", ge=0, le=65_536)
    model: str = setting("playground-wan", label="Model", widget="model", help="The video model that the adapter is for.", max_length=200)
    steps: int = setting(0, label="Steps", help="In all, with earlier ones; 0: the paper's of the stage.", ge=0, le=MOST_STEPS)
    width: int = setting(64, label="Width of a cell", unit="px", widget="size", advanced=True, help="Snapped.", ge=16, le=2048)
    height: int = setting(64, label="Height of a cell", unit="px", widget="size", advanced=True, help="Snapped.", ge=16, le=2048)
    frames: int = setting(17, label="Frames", advanced=True, help="Of the clips that are learnt from.", ge=1, le=257)
    fps: int = setting(8, label="Frames per second", unit="fps", advanced=True, help="Of the clips.", ge=1, le=60)
    rank: int = setting(RANK, label="Rank", advanced=True, help="Of the adapter (section 4.3).", ge=1, le=256)
    dropout: float = setting(DROPOUT, label="Dropout", advanced=True, help="In the adapter (section 4.3).", ge=0, le=0.9, step=0.05)
    rate: float = setting(1e-4, label="Learning rate", advanced=True, help="Of AdamW (section 4.3).", ge=1e-7, le=0.1, step=1e-5)
    token_drop: float = setting(
        0.6, label="Words left out", advanced=True, help="Share of the text tokens (section 4.3).", ge=0, le=1, step=0.05
    )
    noise_scale: float = setting(
        1.0, label="Scale of the noise", advanced=True, help="Relative to the model's own.", ge=0.5, le=1.5, step=0.01
    )
    batch: int = setting(1, label="Grids in a step", advanced=True, help="More are steadier and take memory.", ge=1, le=256)
    samples: int = setting(
        0, label="Sampled grids", advanced=True, help="Drawn by the Grid LoRA in the folder and learnt from too.", ge=0, le=10_000
    )
    seed: int = setting(0, label="Seed", widget="seed", advanced=True, help="The same seed learns the same.", ge=0, le=MAX_SEED)

    @property
    def total_steps(self) -> int:
        """Updates in all."""
        return self.steps or STEPS[self.stage]
