"""What is said of a grid adapter inside its file. No torch here."""

from __future__ import annotations

from typing import ClassVar, Literal

from pipelines.backbones.cards import AdapterCard
from pipelines.methods.grid.names import Kind

Reading = Literal["whole", "clauses"]


class Card(AdapterCard):
    """How an adapter was made; of files that do not say, nothing is known.

    Attributes:
        kind: which of the adapters it is.
        reading: whether it was trained on prompts read as a whole, as in the paper, or clause by clause, see `text`.
        structured: whether cells saw their own words only.
    """

    ENTRY: ClassVar[str] = "likeness_grid_adapter"

    kind: Kind = "fill"
    reading: Reading = "clauses"
    structured: bool = True
