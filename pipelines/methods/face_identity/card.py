"""What is said of an adapter beside its weights. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.errors import UserError
from pipelines.faces.packs import IR_SE50
from pipelines.models.folders import read_json

FILE = "adapter.json"


class Card(BaseModel):
    """What an adapter was trained with; what is not said is as with the released weights.

    Attributes:
        recogniser: whose face embeddings the resampler reads; those of another lie in another space.
        crop: side of the reference picture in pixels.
        arm: "full" or "lite".
        base: the model that it was trained on, by its name in the registry.
    """

    model_config = ConfigDict(frozen=True)

    recogniser: str = Field(IR_SE50, min_length=1, max_length=100)
    crop: int = Field(256, ge=16, le=1024, multiple_of=16)
    arm: Literal["full", "lite"] = "full"
    base: str = Field("wan2.1-14b", min_length=1, max_length=200)


def read_card(folder: Path, arm: Literal["full", "lite"]) -> Card:
    """The card in `folder`, or that of the released weights where there is none.

    Args:
        arm: that of the weights, which a card need not say.
    Raises UserError for a card that cannot be read or is of the other arm.
    """
    file = folder / FILE
    if not file.is_file():
        return Card(arm=arm)
    try:
        card = Card.model_validate({"arm": arm} | read_json(file))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{FILE} has a {first['loc'][0]} that cannot be ({first['msg'].lower()}): export the adapter again.") from error
    if card.arm != arm:
        raise UserError(f"{FILE} speaks of the {card.arm} arm and the weights beside it are of the {arm} one: put the right card there.")
    return card


def write_card(card: Card, folder: Path) -> None:
    """Write the card into `folder`."""
    (folder / FILE).write_text(card.model_dump_json(indent=2) + "\n", "utf-8")
