"""A subject on disk: a folder that other tools can read, and its use on a loaded model.

subject.json         the card: what it is, of which model, how it was made
adapter.safetensors  the LoRA, as diffusers' `load_lora_weights` reads it, rank and alpha in its header
token.safetensors    the word's embedding, in the form of textual inversion: word -> (D,)
references/          the pictures it was made from
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from pipelines.backbones.base import Backbone

CARD, ADAPTER, TOKEN, REFERENCES = "subject.json", "adapter.safetensors", "token.safetensors", "references"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,39}")


class Subject(BaseModel):
    """The card of a subject.

    Attributes:
        name: what a person calls it.
        class_word: what it is ("toy").
        token: the word that stands for it in prompts, "<rex>".
        model, revision: what it was made on; revision is None for models without one.
        rank, alpha: of the LoRA.
        adapts: which projections it covers, in order.
        steps: training steps so far.
        losses: mean loss of every `loss_every` steps.
        seed: of the training.
        preset: which settings it began from.
    """

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)
    version: int = 1
    name: str = Field(max_length=40)
    class_word: str = Field(min_length=1, max_length=40)
    token: str = Field(pattern=r"^<[a-z0-9-]{1,40}>$")
    model: str = Field(max_length=400)
    revision: str | None = None
    rank: int = Field(ge=1, le=1024)
    alpha: float = Field(gt=0)
    adapts: tuple[str, ...] = ("key", "value", "output")
    steps: int = Field(0, ge=0)
    losses: tuple[float, ...] = ()
    loss_every: int = 1
    seed: int = 0
    preset: str = "standard"

    @property
    def phrase(self) -> str:
        """How prompts name it: "<rex> toy"."""
        return f"{self.token} {self.class_word}"


def token_of(name: str) -> str:
    """The word for a subject called `name`: "Rex 2" -> "<rex-2>". Raises UserError for a name that cannot be one of a folder."""
    if not NAME.fullmatch(name):
        raise UserError("The name needs 1 to 40 letters, digits, spaces or hyphens, beginning with a letter or digit.")
    return f"<{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}>"


def in_prompt(prompt: str, subject: Subject) -> str:
    """`prompt` with the subject named in it.

    Where its token stands, nothing changes; else its class word, at its first occurrence, gets the token in front of it. Raises
    UserError if neither is there.
    """
    if subject.token in prompt:
        return prompt
    named, count = re.subn(rf"\b{re.escape(subject.class_word)}\b", subject.phrase, prompt, count=1, flags=re.IGNORECASE)
    if not count:
        raise UserError(f"The prompt does not speak of {subject.name}: write {subject.phrase} where it should appear.")
    return named


def read_subject(folder: Path) -> Subject:
    """The card in `folder`; raises UserError if it is not there or not one of ours."""
    try:
        return Subject.model_validate_json((folder / CARD).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"There is no subject in {folder.name}: choose a folder with a {CARD}.") from error
    except (ValidationError, ValueError) as error:
        raise UserError(f"The card of the subject in {folder.name} is damaged: import the subject again.") from error


def read_token(folder: Path, subject: Subject) -> Tensor:
    """(D,) embedding of the subject's word."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        vector = load_file(folder / TOKEN)[subject.token]
    except (OSError, SafetensorError, KeyError) as error:
        raise UserError(f"The word of {subject.name} ({TOKEN}) is missing or damaged: import the subject again.") from error
    if vector.ndim != 1 or not vector.isfinite().all():
        raise UserError(f"The word of {subject.name} ({TOKEN}) is missing or damaged: import the subject again.")
    return vector


def write_card(folder: Path, subject: Subject) -> None:
    """Write the card so that it is whole or the old one."""
    partial = folder / f"{CARD}.tmp"
    partial.write_text(json.dumps(subject.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8")
    os.replace(partial, folder / CARD)


def write_references(folder: Path, pictures: list[np.ndarray]) -> None:
    """Write the pictures (H, W, 3) uint8 as 00.png, 01.png, ...; others that were there are removed."""
    (folder / REFERENCES).mkdir(parents=True, exist_ok=True)
    for file in sorted((folder / REFERENCES).glob("*.png"))[len(pictures) :]:
        file.unlink()
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / REFERENCES / f"{index:02d}.png")


def read_references(folder: Path) -> list[np.ndarray]:
    """The reference pictures in order; those that cannot be read are left out."""
    from pipelines.methods.subject_adaptation.pictures import read_picture

    pictures = (read_picture(file) for file in sorted((folder / REFERENCES).glob("*.png")))
    return [picture.pixels for picture in pictures if picture.pixels is not None]


@contextmanager
def adapted(backbone: Backbone, folder: Path, model: str) -> Iterator[Subject]:
    """Within, `backbone`, which is the model called `model`, knows the subject in `folder`.

    Raises UserError if the subject was made on another model or a file of it is damaged.
    """
    from pipelines.backbones.adapters import fused, lora, read_lora
    from pipelines.backbones.words import extra_word

    subject = read_subject(folder)
    if subject.model != model:
        raise UserError(f"{subject.name} was made on {subject.model} and does not fit {model}: choose {subject.model}.")
    adapter: Any = read_lora(folder / ADAPTER)
    with ExitStack() as stack:
        stack.enter_context(extra_word(backbone, subject.token, read_token(folder, subject)))
        stack.enter_context(lora(backbone, *adapter))
        stack.enter_context(fused(backbone))
        backbone.forget_text()
        yield subject
