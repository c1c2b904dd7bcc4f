"""What is said of a grid adapter inside its file, beside rank and alpha. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.methods.grid.names import Kind

ENTRY = "likeness_grid_adapter"
"""Name of the text in the header of the safetensors file."""

LONGEST = 100_000
"""Characters of a text that is read."""

Reading = Literal["whole", "clauses"]


class Card(BaseModel):
    """How an adapter was made; of files that do not say, nothing is known.

    Attributes:
        kind: which of the adapters it is.
        base: the model that it was trained on, by its name in the registry; empty: unknown.
        reading: whether it was trained on prompts read as a whole, as in the paper, or clause by clause, see `text`.
        structured: whether cells saw their own words only.
        recipe: settings of the training, by name.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind = "fill"
    base: str = Field("", max_length=400)
    reading: Reading = "clauses"
    structured: bool = True
    recipe: dict[str, str | int | float | bool | None] = Field(default_factory=dict, max_length=200)

    def texts(self) -> dict[str, str]:
        """Its entry in a header."""
        return {ENTRY: self.model_dump_json()}


def read_card(texts: Mapping[str, str]) -> Card:
    """The card among the texts of a header; an empty one where there is none that can be read."""
    text = texts.get(ENTRY, "{}")
    try:
        return Card.model_validate_json(text if len(text) <= LONGEST else "{}")
    except ValidationError:
        return Card()
