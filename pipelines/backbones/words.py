"""A word of the user's own in a text encoder, for a while: a token with an embedding that belongs to no row of the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import AddedToken
from torch import Tensor, nn

from pipelines.errors import UserError

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone


@contextmanager
def extra_word(backbone: Backbone, word: str, vector: Tensor) -> Iterator[None]:
    """Within, `word` is one token whose embedding is `vector` (D,), which may require gradients.

    The tokenizer is exchanged for a copy that knows the word, and the embedding layer puts the vector where it occurs; the
    layer's own table is neither enlarged nor written to.

    Raises UserError if the model knows the word already or its embeddings have another width.
    """
    pipeline, encoder = backbone.pipeline, backbone.pipeline.text_encoder
    width = encoder.get_input_embeddings().embedding_dim
    if vector.shape != (width,):
        raise UserError(f"The word {word} was learnt for a text encoder of another width: choose the model it was made for.")
    before = pipeline.tokenizer
    if word in before.get_vocab():
        raise UserError(f"The model knows {word} already: choose another name for the subject.")
    tokenizer = deepcopy(before)
    tokenizer.add_tokens([AddedToken(word, lstrip=True, rstrip=False, normalized=False)])
    with ExitStack() as stack:
        for layer in _tables(encoder):
            stack.enter_context(_standing_in(layer, tokenizer.convert_tokens_to_ids(word), vector))
        pipeline.tokenizer = tokenizer
        backbone.forget_text()
        try:
            yield
        finally:
            pipeline.tokenizer = before
            backbone.forget_text()


def embedding_of(backbone: Backbone, words: str) -> Tensor:
    """(D,) float32 mean of the embeddings of the tokens of `words`: where a new word may begin."""
    ids = backbone.pipeline.tokenizer(words, add_special_tokens=False).input_ids
    if not ids:
        raise UserError("The class word is empty: write what the subject is, such as toy or person.")
    table = backbone.pipeline.text_encoder.get_input_embeddings().weight
    return table[torch.tensor(ids, device=table.device)].detach().float().mean(0)


def _tables(encoder: nn.Module) -> list[nn.Module]:
    """The layers that look tokens up: T5 has its shared table in two places."""
    shared = encoder.get_input_embeddings()
    return [layer for layer in encoder.modules() if isinstance(layer, nn.Embedding) and (layer is shared or layer.weight is shared.weight)]


@contextmanager
def _standing_in(layer: nn.Module, token: int, vector: Tensor) -> Iterator[None]:
    """`layer` gives `vector` for `token`, which it need not have a row for."""
    places: list[Tensor] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Any, ...]:
        places[:] = [inputs[0] == token]
        return (inputs[0].masked_fill(places[0], 0), *inputs[1:])

    def put(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return torch.where(places[0][..., None], vector.to(output.device, output.dtype), output)

    handles = [layer.register_forward_pre_hook(look), layer.register_forward_hook(put)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
