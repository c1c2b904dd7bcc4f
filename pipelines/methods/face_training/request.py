"""The request of a face adapter's training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipelines.requests import MAX_SEED, Request, setting

PRESETS = {"quick": 500, "standard": 5000, "paper": 100_000}
"""Preset -> steps; those of the paper are 40,000 on pictures and 60,000 with clips (Lynx, section 3.2.2)."""

MOST_STEPS = 1_000_000


class TrainFaceRequest(Request):
    """Learn to keep faces: an adapter from many people, for the face command.

    Attributes:
        folder: name of the folder that the adapter is kept in; a training that is there goes on.
    """

    method = "train-face"
    package = "face_training"
    by_model = ("width", "height", "frames", "fps", "tokens", "crop", "recogniser", "pack")
    folder: str = Field("", max_length=400)

    people: str = setting(
        "", label="People", widget="text", max_length=400,
        help="A folder that holds a folder of pictures and clips for each person, with captions in text files beside them.",
    )  # fmt: skip
    drawn: int = setting(0, label="Drawn people", help="Learn from so many people of the playground's world instead.", ge=0, le=65_536)
    consent: bool = setting(False, label="I may use these people's likenesses", help="They agree; drawn people need not be asked.")
    model: str = setting("playground-wan", label="Model", widget="model", help="The video model that the adapter is for.", max_length=200)
    preset: Literal["quick", "standard", "paper"] = setting(
        "standard", label="Preset", choices=list(PRESETS), help="How long; nothing here replaces many people."
    )
    start: str = setting("", label="Begin with", widget="adapter", help="An adapter to train further; empty: nothing.", max_length=400)
    pack: str = setting("playground-faces", label="Face models", widget="pack", help="Find the faces.", max_length=100)
    recogniser: str = setting(
        "playground-faces", label="Recogniser", advanced=True, help="Says whose face it is, now and whenever it is used.", max_length=100
    )
    crop: int = setting(64, label="Reference side", unit="px", advanced=True, help="Of the face's picture.", ge=16, le=1024, step=16)
    width: int = setting(64, label="Width", unit="px", widget="size", advanced=True, help="Pictures keep proportions.", ge=16, le=2048)
    height: int = setting(64, label="Height", unit="px", widget="size", advanced=True, help="Pictures keep proportions.", ge=16, le=2048)
    frames: int = setting(17, label="Frames", advanced=True, help="Of the clips that are learnt from.", ge=1, le=257)
    fps: int = setting(8, label="Frames per second", unit="fps", advanced=True, help="Of the clips.", ge=1, le=60)
    steps: int = setting(0, label="Steps", advanced=True, help="In all, with earlier ones; 0: the preset's.", ge=0, le=MOST_STEPS)
    images: float = setting(0.4, label="Pictures first", advanced=True, help="Share of the steps without clips.", ge=0, le=1, step=0.05)
    tokens: int = setting(
        33_600, label="Tokens", advanced=True, ge=64, le=10_000_000,
        help="In a step and device: samples of all sizes are packed into one sequence of so many.",
    )  # fmt: skip
    rate: float = setting(0.0, label="Learning rate", advanced=True, help="0: the paper's, by the model's width.", ge=0, le=0.1, step=1e-5)
    sample_every: int = setting(0, label="Sample every", unit="steps", advanced=True, help="0: no samples.", ge=0, le=MOST_STEPS)
    seed: int = setting(0, label="Seed", widget="seed", advanced=True, help="The same seed learns the same.", ge=0, le=MAX_SEED)

    @property
    def total_steps(self) -> int:
        """Updates in all."""
        return self.steps or PRESETS[self.preset]
