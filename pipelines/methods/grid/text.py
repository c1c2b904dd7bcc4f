"""A grid's prompt as states of the text encoder, and which of them belong to which clause (T_global, T_A, T_B, T_out)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from pipelines.methods.grid.card import Reading
from pipelines.methods.grid.prompt import GridPrompt

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


@dataclass(frozen=True)
class GridText:
    """What cells can attend to.

    Attributes:
        states, empty: (1, M, D) of the prompt, and of the negative one in the same places.
        shared: places of T_global, which every cell sees: of what no clause has, with the padding.
        clauses: places of each cell's clause.
    """

    states: Tensor
    empty: Tensor
    shared: tuple[int, ...]
    clauses: tuple[tuple[int, ...], ...]

    def seen_by(self, cells: Sequence[int]) -> list[int]:
        """Places of T_global and of the clauses of `cells`, rising."""
        return sorted({*self.shared, *(place for cell in cells for place in self.clauses[cell])})

    @property
    def parts(self) -> tuple[tuple[int, ...], ...]:
        """Places of T_global and of each clause."""
        return self.shared, *self.clauses


def read_text(backbone: Backbone, prompt: GridPrompt, negative: str = "", reading: Reading = "clauses") -> GridText:
    """The states of `prompt`, read as asked; as a whole only if the model reads that many tokens."""
    fits = backbone.count_tokens(prompt.build()) <= backbone.text_length
    return read_whole(backbone, prompt, negative) if reading == "whole" and fits else read_clauses(backbone, prompt, negative)


def read_whole(backbone: Backbone, prompt: GridPrompt, negative: str = "") -> GridText:
    """All of it in one go, as in the paper: each word knows those of the other cells."""
    states, empty = backbone.encode_text([prompt.build(), negative]).chunk(2)
    clauses = clause_tokens(backbone.pipeline.tokenizer, prompt, states.shape[1])
    taken = {place for clause in clauses for place in clause}
    return GridText(states, empty, tuple(place for place in range(states.shape[1]) if place not in taken), clauses)


def read_clauses(backbone: Backbone, prompt: GridPrompt, negative: str = "") -> GridText:
    """Each clause by itself, as the model reads any prompt, one behind the other; without label and role, which the whole needs.

    Ours: no word can reach another cell through the text encoder, and a grid may say as much as its cells could say alone.
    """
    said = [*([prompt.shared] if prompt.shared else []), *(clause.alone for clause in prompt.clauses)]
    states = backbone.encode_text([*said, negative])  # (K + 1, L, D)
    return joined(states[:-1], states[-1], bool(prompt.shared))


def joined(states: Tensor, empty: Tensor, shared: bool) -> GridText:
    """Texts read by themselves, one behind the other.

    Args:
        states: (K, L, D) of the clauses, that of all cells before them if there is one (`shared`).
        empty: (L, D) of the negative prompt.
    """
    count, length, _ = states.shape
    places = [tuple(range(number * length, (number + 1) * length)) for number in range(count)]
    whole = states.flatten(0, 1)[None]
    return GridText(whole, empty.repeat(count, 1)[None], places[0] if shared else (), tuple(places[int(shared) :]))


def clause_tokens(tokenizer: object, prompt: GridPrompt, length: int) -> tuple[tuple[int, ...], ...]:
    """Places of the tokens of each cell's label and clause among the first `length` of the whole prompt, by the tokenizer's own account.

    A token belongs to the clause that it ends in: some tokenizers count the space before a word as part of it.
    """
    read = tokenizer(prompt.build(), return_offsets_mapping=True, add_special_tokens=True)
    ends = [end for _, end in read["offset_mapping"]][:length]  # 0 of the end token
    spans = prompt.spans()[1:]
    return tuple(tuple(place for place, end in enumerate(ends) if start < end <= until) for start, until in spans)
