"""The request of the training of an adapter that knows subjects from one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from pipelines.methods.subject_training.recipe import BASELINES
from pipelines.requests import MAX_SEED, Request, setting

DRAWN = "playground"
"""Instead of a folder: what the playground's world draws."""


@dataclass(frozen=True)
class Preset:
    """Length of a training, examples in a step, and how many of them at once (images, clips)."""

    steps: int
    images: int
    clips: int
    at_once: tuple[int, int]
    warm_steps: int = 200


PRESETS = {
    "quick": Preset(500, 12, 3, (12, 3), 50),
    "standard": Preset(4000, 12, 3, (12, 3), 50),
    "paper": Preset(4000, 256, 32, (8, 1)),
}
"""The paper's: section 5.1."""

MOST_STEPS = 1_000_000


class TrainSubjectsRequest(Request):
    """Learn to draw whatever one picture shows: an adapter from pairs of pictures and from clips, for subject-from-image.

    Attributes:
        folder: name of the folder that the adapter is kept in; a training that is there goes on.
    """

    method = "train-subjects"
    package = "subject_training"
    by_model = ("width", "height", "frames", "fps")
    folder: str = Field("", max_length=400)

    pairs: str = setting(
        DRAWN, label="Pairs", widget="text", max_length=400,
        help="A folder of Subjects200K, or with a folder of pictures for each subject; playground: drawn toys.",
    )  # fmt: skip
    clips: str = setting(
        DRAWN, label="Clips", widget="text", max_length=400,
        help="A folder of clips with captions beside them, or of WebDataset shards; playground: drawn ones.",
    )  # fmt: skip
    model: str = setting("playground-cogvideox", label="Model", widget="model", help="Of the CogVideoX family.", max_length=200)
    preset: Literal["quick", "standard", "paper"] = setting(
        "standard", label="Preset", choices=list(PRESETS), help="How long, and with how many examples in a step."
    )
    baseline: Literal["dual-task", "image-only", "two-stage", "text-to-video", "first-frame", "no-token-drop"] = setting(
        "dual-task", label="Way", choices=list(BASELINES), advanced=True, help="The paper's own, or one that it is compared with."
    )
    width: int = setting(64, label="Width", unit="px", widget="size", advanced=True, help="Of pictures and clips.", ge=16, le=2048)
    height: int = setting(64, label="Height", unit="px", widget="size", advanced=True, help="Of pictures and clips.", ge=16, le=2048)
    frames: int = setting(17, label="Frames", advanced=True, help="Of the clips.", ge=1, le=257)
    fps: int = setting(8, label="Frames per second", unit="fps", advanced=True, help="Of the clips.", ge=1, le=60)
    drawn: int = setting(2048, label="Drawn toys", advanced=True, help="How many of the playground's are learnt from.", ge=32, le=65_536)
    drawn_clips: int = setting(640, label="Drawn clips", advanced=True, help="How many of the playground's.", ge=32, le=65_536)
    minutes: float = setting(0.0, label="Minutes", advanced=True, help="Instead of steps; 0: steps.", ge=0, le=100_000)
    steps: int = setting(0, label="Steps", advanced=True, help="In all, with earlier ones; 0: the preset's.", ge=0, le=MOST_STEPS)
    p: float = setting(0.2, label="Share of clips", advanced=True, help="Of the steps (section 3.2).", ge=0, le=1, step=0.05)
    view_drop: float = setting(
        0.5, label="Without the picture", advanced=True, help="Share of pairs whose reference is left out.", ge=0, le=1, step=0.05
    )
    token_drop: float = setting(
        0.5, label="Token drop", advanced=True, help="Share of a frame's tokens left out as a reference of its clip.", ge=0, le=1, step=0.05
    )
    images: int = setting(0, label="Pairs in a step", advanced=True, help="0: the preset's.", ge=0, le=65_536)
    clips_in_step: int = setting(0, label="Clips in a step", advanced=True, help="0: the preset's.", ge=0, le=65_536)
    images_at_once: int = setting(0, label="Pairs at once", advanced=True, help="As memory allows; 0: the preset's.", ge=0, le=4096)
    clips_at_once: int = setting(0, label="Clips at once", advanced=True, help="As memory allows; 0: the preset's.", ge=0, le=4096)
    rank: int = setting(0, label="Rank", advanced=True, help="Of the adapter; 0: the paper's share of the width.", ge=0, le=512)
    dropout: float = setting(0.1, label="Dropout", advanced=True, help="In the adapter.", ge=0, le=0.9, step=0.05)
    rate: float = setting(0.0, label="Learning rate", advanced=True, help="0: the paper's, by the model's width.", ge=0, le=0.1, step=1e-5)
    surgery: Literal[0, 4, 8] = setting(
        0, label="PCGrad", unit="gradients", choices=[0, 4, 8], advanced=True, help="Remembered, to take conflicts out; 0: off."
    )
    monitor_every: int = setting(
        100, label="Look at the gradients every", unit="steps", advanced=True, help="0: never.", ge=0, le=MOST_STEPS
    )
    sample_every: int = setting(0, label="Sample every", unit="steps", advanced=True, help="0: no samples.", ge=0, le=MOST_STEPS)
    keep_latents: bool = setting(False, label="Keep latents", advanced=True, help="On disk: quicker when data is seen again.")
    seed: int = setting(0, label="Seed", widget="seed", advanced=True, help="The same seed learns the same.", ge=0, le=MAX_SEED)

    @property
    def is_drawn(self) -> bool:
        """Whether the playground's world is learnt from."""
        return self.pairs.strip() == DRAWN

    @property
    def total_steps(self) -> int:
        """Updates in all."""
        return self.steps or PRESETS[self.preset].steps

    @property
    def share_of_clips(self) -> float:
        """Of the steps, in the way that was chosen."""
        return float(BASELINES[self.baseline].get("p", self.p))

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Pairs and clips in a step, and at once."""
        preset = PRESETS[self.preset]
        once = preset.at_once
        return (
            self.images or preset.images,
            self.clips_in_step or preset.clips,
            self.images_at_once or once[0],
            self.clips_at_once or once[1],
        )
