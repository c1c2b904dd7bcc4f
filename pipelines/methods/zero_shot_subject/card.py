"""What is said of an adapter inside its file, beside rank and alpha. No torch here."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

ENTRY = "likeness_subject_adapter"
"""Name of the text in the header of the safetensors file."""

LONGEST = 100_000
"""Characters of a text that is read."""


class Card(BaseModel):
    """How an adapter was made; of released weights nothing is known.

    Attributes:
        base: the model that it was trained on, by its name in the registry; empty: unknown.
        recipe: settings of the training, by name.
    """

    model_config = ConfigDict(frozen=True)

    base: str = Field("", max_length=400)
    recipe: dict[str, str | int | float | bool | None] = Field(default_factory=dict, max_length=200)

    def texts(self) -> dict[str, str]:
        """Its entry in a header."""
        return {ENTRY: self.model_dump_json()}


def read_card(texts: Mapping[str, str]) -> Card:
    """The card among the texts of a header; an empty one where there is none that can be read: the weights do not need it."""
    text = texts.get(ENTRY, "{}")
    try:
        return Card.model_validate_json(text if len(text) <= LONGEST else "{}")
    except ValidationError:
        return Card()
