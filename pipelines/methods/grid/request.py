"""The request of a grid of clips."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from pipelines.requests import MAX_PROMPT, VideoRequest, setting

MOST_CELLS = 6
Mode = Literal["edit", "compose"]


class Cell(BaseModel):
    """One cell of a grid.

    Attributes:
        clip: name of the clip that is in it, see `pipelines.files`; empty: it is drawn.
        text: what it shows; of a clip that may stay unsaid.
        identity, motion: names of its tags; empty: those of the grid.
        start: second of the clip at which the part that is used begins.
    """

    clip: str = Field("", max_length=400)
    text: str = Field("", max_length=MAX_PROMPT)
    identity: str = Field("", max_length=80)
    motion: str = Field("", max_length=80)
    start: float = Field(0.0, ge=0, le=36000)


class GridRequest(VideoRequest):
    """A grid of clips: cells that are empty are drawn after those that are not.

    Attributes:
        cells: row by row; those that are not named are empty and without words.
    """

    method = "grid"
    package = "grid"
    by_model = (*VideoRequest.by_model, "adapter", "strength")

    cells: tuple[Cell, ...] = Field((), max_length=MOST_CELLS)

    layout: Literal["2x2", "1x3", "2x3"] = setting(
        "2x2", label="Layout", choices=["2x2", "1x3", "2x3"], help="Rows and columns; 1x3 is for clips that are taller than wide."
    )
    mode: Mode = setting(
        "edit", label="Mode", choices=["edit", "compose"],
        help="Edit: empty cells show what the clip shows, as their words change it. Compose: they bring two clips together.",
    )  # fmt: skip
    prompt: str = setting(
        "", label="In every cell", widget="text", max_length=MAX_PROMPT, help="What all cells show; empty is fine where they say enough."
    )
    written: str = setting(
        "", label="Whole prompt", widget="textarea", advanced=True, max_length=4 * MAX_PROMPT,
        help="In the grammar of grids, instead of the words of the cells; empty: built from those.",
    )  # fmt: skip
    identity: str = setting(
        "", label="Identity tag", widget="text", advanced=True, max_length=80, help="Said of every cell: [name_identity]."
    )
    motion: str = setting("", label="Motion tag", widget="text", advanced=True, max_length=80, help="Said of every cell: [action_motion].")
    adapter: str = setting(
        "playground-grid", label="Adapter", widget="adapter", max_length=400,
        help="The weights that fill grids, made for one model: by name, or a folder or file of your own.",
    )  # fmt: skip
    strength: float = setting(1.0, label="Strength", help="Of the adapter; 0: the model as it is.", ge=0, le=2, step=0.05, slider=(0, 2))
    concepts: str = setting(
        "", label="Dynamic concepts", widget="adapter", advanced=True, max_length=400,
        help="A folder with an adapter that knows concepts by their tags; the paper leaves it out when grids are filled.",
    )  # fmt: skip
    concepts_strength: float = setting(
        0.5, label="Strength of the concepts", advanced=True, help="0: without them.", ge=0, le=2, step=0.05, slider=(0, 2)
    )
    structured: bool = setting(
        True, label="Own words only", advanced=True, help="Each cell reads its own words, so that they do not leak into others (Fig. 7)."
    )
    noise_scale: float = setting(
        1.0, label="Scale of the noise", advanced=True, ge=0.5, le=1.5, step=0.01, slider=(0.5, 1.5),
        help="Of that which empty cells begin with, relative to the model's own.",
    )  # fmt: skip
    upscale: int = setting(2, label="Enlarge cells", help="Cells that are taken out have so many times the size.", ge=1, le=4)
    upsampler: Literal["lanczos", "playground-upsampler", "swin2sr-x2", "swin2sr-x4-real"] = setting(
        "lanczos", label="Enlarged by", choices=["lanczos", "playground-upsampler", "swin2sr-x2", "swin2sr-x4-real"], advanced=True,
        help="What brings cells to their full size: a filter, or a network.",
    )  # fmt: skip
    preview_every: int = setting(
        1, label="Look at the grid every", unit="steps", advanced=True, help="While it is drawn; 0: never.", ge=0, le=200, slider=(0, 20)
    )
    watch_every: int = setting(
        5, label="Look at the words every", unit="steps", advanced=True, ge=0, le=200, slider=(0, 20),
        help="How much of each cell's attention to text goes to which words; 0: never.",
    )  # fmt: skip

    def cell(self, number: int) -> Cell:
        """Cell `number`, an empty one where there is none."""
        return self.cells[number] if number < len(self.cells) else Cell()
