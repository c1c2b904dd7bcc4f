"""The request of a clip with a subject of one's own."""

from __future__ import annotations

from typing import Literal

from pipelines.requests import VideoRequest, setting

Injection = Literal["off", "warp", "warp-unmasked", "key-value", "concat"]


class PersonaliseRequest(VideoRequest):
    """A clip of a subject of your own, its appearance warped in from a picture."""

    method = "personalise"
    package = "appearance_warping"

    subject: str = setting("", label="Subject", widget="subject", help="Who or what the clip is about.", max_length=400)
    injection: Injection = setting(
        "warp", label="Fine injection", choices=["off", "warp", "warp-unmasked", "key-value", "concat"],
        help="Warp takes the look of a picture where matches can be trusted; the others are for comparison.",
    )  # fmt: skip
    reference: int = setting(0, label="Reference picture", help="Which of the subject's pictures is warped in, from 0.", ge=0, le=63)
    reference_frames: Literal["match", "1"] = setting(
        "match",
        label="Reference frames",
        choices=["match", "1"],
        advanced=True,
        help="As many as the clip's (the paper), or one, which is faster.",
    )
    inversion: Literal["quick", "every level"] = setting(
        "quick", label="Inversion", choices=["quick", "every level"], advanced=True,
        help="Below the injected steps, where the picture hardly changes, one level in four will do; every level is exact.",
    )  # fmt: skip
    descriptor: Literal["plain", "rotated", "output"] = setting(
        "plain", label="Matched by", choices=["plain", "rotated", "output"], advanced=True,
        help="Queries and keys before RoPE (the paper), after it, or what the layer puts out.",
    )  # fmt: skip
    matching_layer: float = setting(
        12 / 42, label="Matching layer", advanced=True, help="As a share of the depth (section 4.3: 12 of 42).", ge=0, le=1
    )
    first_layer: float = setting(20 / 42, label="First layer", advanced=True, help="Of those whose values are warped.", ge=0, le=1)
    last_layer: float = setting(29 / 42, label="Last layer", advanced=True, help="Of those whose values are warped.", ge=0, le=1)
    first_step: float = setting(3 / 50, label="First step", advanced=True, help="Of the injection, as a share of all steps.", ge=0, le=1)
    last_step: float = setting(19 / 50, label="Last step", advanced=True, help="Of the injection, as a share of all steps.", ge=0, le=1)
    foreground: float = setting(
        0.3, label="Foreground threshold", advanced=True, help="Of the attention to the subject's word, 0 to 1.", ge=0, le=1
    )
    cycle: float = setting(
        0.1,
        label="Cycle factor",
        advanced=True,
        help="How far a match may miss its start on the way back; more trusts more.",
        ge=0,
        le=10,
    )
