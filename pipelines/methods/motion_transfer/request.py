"""The request of a clip that moves as another one does."""

from __future__ import annotations

from typing import Literal

from pipelines.requests import MAX_PROMPT, VideoRequest, setting

Recorded = Literal["one level", "every level"]

BY_MODEL = ("strength", "first_layer", "last_layer", "recorded", "level", "same_noise", "match_values", "clean_up")
"""What the paper does differently from model to model."""


class MotionRequest(VideoRequest):
    """A clip that moves as a clip of yours does, and shows what the prompt says."""

    method = "transfer-motion"
    package = "motion_transfer"
    by_model = (*VideoRequest.by_model, *BY_MODEL)

    source: str = setting("", label="Source clip", widget="clip", help="Its motion is taken over; what it shows is not.", max_length=400)
    start: float = setting(0.0, label="From", unit="s", help="Where the part that is used begins.", ge=0, le=36000, step=0.1)
    end: float = setting(0.0, label="To", unit="s", help="Where it ends; 0: as long as the clip that is drawn.", ge=0, le=36000, step=0.1)
    crop: str = setting(
        "", label="Crop", widget="crop", advanced=True, max_length=80,
        help="Left, top, width and height of the part of the picture that is used, as shares of it: 0.25,0,0.5,1. Empty: its middle.",
    )  # fmt: skip
    strength: float = setting(
        0.6, label="Strength", help="Share of the steps that move as the source does; much of it brings its looks too.",
        ge=0, le=1, step=0.05, slider=(0, 1),
    )  # fmt: skip
    dropout: float = setting(
        0.0, label="Query dropout", advanced=True, ge=0, le=1, step=0.05, slider=(0, 1),
        help="Share of the tokens that are left free: less of the source's looks, less of its motion (B.13).",
    )  # fmt: skip
    first_layer: float = setting(0.25, label="First layer", advanced=True, help="Of those that take the source's queries.", ge=0, le=1)
    last_layer: float = setting(0.75, label="Last layer", advanced=True, help="Of those that take the source's queries.", ge=0, le=1)
    recorded: Recorded = setting(
        "one level", label="Recorded at", choices=["one level", "every level"], advanced=True,
        help="One look at the source with little noise (Wan), or one at the noise of each step (the UNet models).",
    )  # fmt: skip
    level: float = setting(
        300.0, label="Noise of the one look", advanced=True, help="As a timestep; the step of the schedule next to it is used.",
        ge=0, le=1000, step=10, slider=(0, 1000),
    )  # fmt: skip
    source_prompt: str = setting(
        "", label="What the source shows", widget="text", max_length=MAX_PROMPT,
        help="In a few words, its motion too; read while it is looked at, as in the paper (section 2). Empty is fine.",
    )  # fmt: skip
    same_noise: bool = setting(
        False, label="Same noise", advanced=True, help="The source is given the noise that the clip begins with (LTX-Video)."
    )
    match_values: bool = setting(
        False, label="Match values", advanced=True, help="Mean and spread of the values become the source's (LTX-Video)."
    )
    clean_up: bool = setting(
        False, label="Clean the source up", advanced=True, help="Two steps of noise on the source and back, before it is looked at (UNet)."
    )
