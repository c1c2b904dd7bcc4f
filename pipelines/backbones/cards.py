"""What is said of an adapter inside its file, beside rank and alpha. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

LONGEST = 100_000
"""Characters of a text that is read."""


class AdapterCard(BaseModel):
    """How an adapter was made; of files that do not say, nothing is known.

    Attributes:
        ENTRY: name of the text in the header of the safetensors file; each kind of adapter has its own.
        base: the model that it was trained on, by its name in the registry; empty: unknown.
        recipe: settings of the training, by name.
    """

    model_config = ConfigDict(frozen=True)

    ENTRY: ClassVar[str]

    base: str = Field("", max_length=400)
    recipe: dict[str, str | int | float | bool | None] = Field(default_factory=dict, max_length=200)

    def texts(self) -> dict[str, str]:
        """Its entry in a header."""
        return {self.ENTRY: self.model_dump_json()}

    @classmethod
    def read(cls, texts: Mapping[str, str]) -> Self:
        """The card among the texts of a header; an empty one where there is none that can be read: the weights do not need it."""
        text = texts.get(cls.ENTRY, "{}")
        try:
            return cls.model_validate_json(text if len(text) <= LONGEST else "{}")
        except ValidationError:
            return cls()
