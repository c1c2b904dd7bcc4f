"""The request of a subject's adaptation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from pipelines.requests import MAX_PROMPT, MAX_SEED, Request, setting

Projection = Literal["query", "key", "value", "output"]


@dataclass(frozen=True)
class Preset:
    """Length and pace of an adaptation; the paper gives the rates alone, the rest is ours.

    Attributes:
        steps, batch: updates, and pictures per update.
        rate, token_rate: AdamW's, for a model of the paper's width.
        by_width: whether the adapter's rate grows with the root of how much narrower the model is than the paper's. Longer
            trainings win the embedded models little likeness and cost them their motion.
    """

    steps: int
    batch: int
    rate: float = 1e-4
    token_rate: float = 5e-4
    by_width: bool = True


PRESETS = {
    "quick": Preset(50, 4, rate=3e-4, token_rate=5e-3),
    "standard": Preset(100, 4, rate=3e-4, token_rate=5e-3),
    "paper": Preset(1000, 1, by_width=False),
}
PAPER_WIDTH = 3072
"""Channels of CogVideoX-5B, which the paper's rates and rank were chosen for."""

MOST_STEPS = 20_000


class AdaptRequest(Request):
    """Learn a subject from a few pictures: an adapter and a word of its own.

    Attributes:
        images: names of the pictures, see `pipelines.files`.
        folder: name of the folder the subject is kept in; a subject that is there already is trained further.
    """

    method = "adapt"
    package = "subject_adaptation"
    by_model = ("width", "height")
    images: tuple[str, ...] = Field((), max_length=64)
    folder: str = Field("", max_length=400)

    name: str = setting("", label="Name", widget="text", help="What you call the subject; prompts then say <name>.", max_length=40)
    class_word: str = setting("", label="Class word", widget="text", help="What it is: toy, teapot, person.", max_length=40)
    model: str = setting("playground-wan", label="Model", widget="model", help="The video model that learns it.", max_length=200)
    preset: Literal["quick", "standard", "paper"] = setting(
        "standard", label="Preset", choices=list(PRESETS), help="Quick for a first look; paper has the paper's learning rates."
    )
    width: int = setting(64, label="Width", unit="px", widget="size", advanced=True, help="Pictures are cut.", ge=16, le=2048, step=16)
    height: int = setting(64, label="Height", unit="px", widget="size", advanced=True, help="Pictures are cut.", ge=16, le=2048, step=16)
    seed: int = setting(0, label="Seed", widget="seed", advanced=True, help="The same seed learns the same.", ge=0, le=MAX_SEED)
    steps: int = setting(0, label="Steps", advanced=True, help="Updates in all, with earlier ones; 0: the preset's.", ge=0, le=MOST_STEPS)
    rank: int = setting(0, label="Rank", advanced=True, help="Size of the adapter; 0: the paper's share of the width.", ge=0, le=512)
    rate: float = setting(0.0, label="Learning rate", advanced=True, help="Of the adapter; 0: the preset's.", ge=0, le=0.1, step=1e-5)
    token_rate: float = setting(0.0, label="Learning rate of the word", advanced=True, help="0: the preset's.", ge=0, le=0.5, step=1e-4)
    adapt_query: bool = setting(
        False,
        label="Adapt queries too",
        advanced=True,
        help="Queries carry motion: adapting them freezes the subject (to compare).",
    )
    sample_every: int = setting(0, label="Sample every", unit="steps", advanced=True, help="0: four times in all.", ge=0, le=MOST_STEPS)
    sample_prompt: str = setting(
        "",
        label="Sample prompt",
        widget="text",
        advanced=True,
        help="What samples show; empty: the subject.",
        max_length=MAX_PROMPT,
    )

    @property
    def total_steps(self) -> int:
        """Updates in all."""
        return self.steps or PRESETS[self.preset].steps

    @property
    def adapts(self) -> tuple[Projection, ...]:
        """The projections that get an adapter (V-Warper, section 4.1: key, value and output)."""
        return ("query", "key", "value", "output") if self.adapt_query else ("key", "value", "output")
