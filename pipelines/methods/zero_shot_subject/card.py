"""What is said of an adapter inside its file. No torch here."""

from __future__ import annotations

from typing import ClassVar

from pipelines.backbones.cards import AdapterCard


class Card(AdapterCard):
    """How an adapter was made; of released weights nothing is known."""

    ENTRY: ClassVar[str] = "likeness_subject_adapter"
