"""The request of several shots of one character."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field

from pipelines.requests import MAX_PROMPT, MAX_SEED, VideoRequest, setting

MOST_SHOTS = 40

Sharing = Literal["framewise", "all frames", "off"]
Masks = Literal["picture", "preview", "attention"]
Passes = Literal["fused", "three"]


class Shot(BaseModel):
    """One shot of a board.

    Attributes:
        text: what happens in it, and where; the character and the style are the board's.
        seed: -1 draws one.
    """

    text: str = Field("", max_length=MAX_PROMPT)
    seed: int = Field(-1, ge=-1, le=MAX_SEED)


class StoryboardRequest(VideoRequest):
    """The same character through several shots.

    Attributes:
        shots: in the order of the film.
        anchors: numbers, from 0, of the two shots that all others take the character's looks from; fewer where there are fewer.
        only: numbers of the shots that are wanted, empty for all: to draw one again, the anchors are drawn along with it as far
            as they are needed.
        folder: where an unfinished board is kept from step to step, so that it can go on; empty: nowhere.
    """

    method = "storyboard"
    package = "storyboard"
    by_model = (
        *VideoRequest.by_model, "share_until", "share_weight", "masks", "masks_every",
        "refine", "refine_until", "refine_first", "refine_last", "refine_strength", "matching_layer",
    )  # fmt: skip

    shots: tuple[Shot, ...] = Field((), max_length=MOST_SHOTS)
    anchors: tuple[Annotated[int, Field(ge=0, lt=MOST_SHOTS)], ...] = Field((0, 1), max_length=2)
    only: tuple[Annotated[int, Field(ge=0, lt=MOST_SHOTS)], ...] = Field((), max_length=MOST_SHOTS)
    folder: str = Field("", max_length=400)

    prompt: str = setting(
        "", label="Character", widget="text", max_length=MAX_PROMPT,
        help="Who or what is in every shot, such as a red ball; it is looked for in the pictures by these words.",
    )  # fmt: skip
    style: str = setting("", label="Style", widget="text", help="Said of every shot, such as watercolour.", max_length=MAX_PROMPT)
    subject: str = setting(
        "", label="Subject", widget="subject", help="A subject of your own that is the character; empty: none.", max_length=400
    )
    sharing: Sharing = setting(
        "framewise", label="Shared attention", choices=["framewise", "all frames", "off"], advanced=True,
        help="Shots see the character of the anchors, frame by frame; all frames at once look more alike and move less.",
    )  # fmt: skip
    share_from: float = setting(
        950.0, label="Sharing from", advanced=True, help="Noise at which it begins (B.14).", ge=0, le=1000, step=10, slider=(0, 1000)
    )
    share_until: float = setting(
        550.0, label="Sharing until", advanced=True, help="Noise at which it ends (B.14).", ge=0, le=1000, step=10, slider=(0, 1000)
    )
    share_weight: float = setting(
        1.0, label="Weight of what is shared", advanced=True, ge=0.1, le=32, step=0.5, slider=(0.5, 16),
        help="As if each token of the anchors were there so many times; 1 is the paper's.",
    )  # fmt: skip
    masks: Masks = setting(
        "picture", label="Character found in", choices=["picture", "preview", "attention"], advanced=True,
        help="By a segmenter in the decoded estimate (the paper) or its quick preview, which costs less; or by the attention to its words.",
    )  # fmt: skip
    masks_every: int = setting(
        1, label="Found again every", unit="steps", advanced=True, help="More steps cost less; the paper: every step.", ge=1, le=50
    )
    keep_queries: bool = setting(
        True, label="Keep queries", advanced=True, help="At first shots take the queries that they would have alone: their layout."
    )
    keep_until: float = setting(
        750.0, label="Kept until", advanced=True, help="Noise down to which they are kept (B.14).", ge=0, le=1000, step=10, slider=(0, 1000)
    )
    flow_queries: bool = setting(
        True, label="Query flow", advanced=True, help="Then queries only move as they would alone: the motion, not the looks."
    )
    keyframes: int = setting(2, label="Key frame every", unit="latent frames", advanced=True, help="Of the query flow.", ge=1, le=64)
    flow_weight: Literal["sigmoid", "linear"] = setting(
        "sigmoid", label="Weight of key frames", choices=["sigmoid", "linear"], advanced=True, help="As printed (eq. 4), or by nearness."
    )
    dropout: float = setting(
        0.0, label="Query dropout", advanced=True, ge=0, le=1, step=0.05, slider=(0, 1),
        help="Share of the tokens whose queries are left free: more alike, less of the own motion (B.13).",
    )  # fmt: skip
    refine: bool = setting(True, label="Refinement", advanced=True, help="Details of the character are blended with the anchors'.")
    refine_from: float = setting(
        950.0, label="Refined from", advanced=True, help="Noise at which it begins (B.14).", ge=0, le=1000, step=10, slider=(0, 1000)
    )
    refine_until: float = setting(
        590.0, label="Refined until", advanced=True, help="Noise at which it ends (B.14).", ge=0, le=1000, step=10, slider=(0, 1000)
    )
    refine_strength: float = setting(
        0.8, label="Strength of refinement", advanced=True, help="How much of the anchor's.", ge=0, le=1, step=0.05, slider=(0, 1)
    )
    refine_first: float = setting(0.25, label="First refined layer", advanced=True, help="As a share of the depth.", ge=0, le=1)
    refine_last: float = setting(0.75, label="Last refined layer", advanced=True, help="As a share of the depth.", ge=0, le=1)
    matching_layer: float = setting(0.3, label="Matching layer", advanced=True, help="Whose keys tell which part is which.", ge=0, le=1)
    matching_level: float = setting(
        260.0, label="Matching noise", advanced=True, ge=0, le=1000, step=10, slider=(0, 1000),
        help="Of the three-pass form: noise on the finished clip under which its parts are matched.",
    )  # fmt: skip
    passes: Passes = setting(
        "fused", label="Passes", choices=["fused", "three"], advanced=True,
        help="Fused: refined at once, by matches of the shots drawn alone. Three: refined in a pass of its own, as in the paper.",
    )  # fmt: skip
    together: int = setting(
        1, label="Shots at a time", advanced=True, help="More are quicker where there is memory for them; the result is the same.",
        ge=1, le=MOST_SHOTS, slider=(1, 8),
    )  # fmt: skip

    def with_seed(self) -> Self:
        """The same request with every -1 replaced: the board's seed by a fresh one, a shot's by the board's plus its number."""
        board = super().with_seed()
        shots = tuple(
            shot if shot.seed >= 0 else shot.model_copy(update={"seed": (board.seed + number) % (MAX_SEED + 1)})
            for number, shot in enumerate(board.shots)
        )
        return board.model_copy(update={"shots": shots})

    def words(self, number: int, named: str = "") -> str:
        """The whole prompt of a shot: the character, what happens, the style.

        Args:
            named: stands for the character, where it is a subject of one's own.
        """
        said = " ".join(part for part in (named or self.prompt.strip(), self.shots[number].text.strip()) if part)
        return ", ".join(part for part in (said, self.style.strip()) if part)
