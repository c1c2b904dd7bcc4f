"""A word of one's own: one token, one vector, gradients to it alone, and no trace afterwards."""

from __future__ import annotations

import copy

import pytest
import torch

from pipelines.backbones.words import embedding_of, extra_word
from pipelines.errors import UserError

PROMPT = "a <rex> ball rolls over the grass"


@pytest.fixture
def vector(backbone) -> torch.Tensor:
    return embedding_of(backbone, "star")


def test_a_word_that_begins_as_another_reads_like_it(backbone, vector) -> None:
    expected = backbone.read_text(["a star ball rolls over the grass"])
    with extra_word(backbone, "<rex>", vector):
        assert torch.allclose(backbone.read_text([PROMPT]), expected, atol=1e-5)


def test_it_is_one_token_wherever_it_stands(backbone, vector) -> None:
    with extra_word(backbone, "<rex>", vector):
        tokenizer = backbone.pipeline.tokenizer
        ids = [tokenizer(words).input_ids for words in ("<rex>", "a <rex>", "a <rex> ball", "a red <rex>, spins")]
        mine = tokenizer.convert_tokens_to_ids("<rex>")
        assert all(row.count(mine) == 1 for row in ids)
        plain = tokenizer("a ball").input_ids
        assert [token for token in ids[2] if token != mine] == plain


def test_gradients_reach_the_vector_and_no_row_changes(backbone, vector) -> None:
    encoder = backbone.pipeline.text_encoder
    before = copy.deepcopy(encoder.state_dict())
    mine = torch.nn.Parameter(vector)
    with extra_word(backbone, "<rex>", mine):
        backbone.read_text([PROMPT]).square().sum().backward()
    assert mine.grad is not None and mine.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_afterwards_the_encoder_is_as_it_was_also_after_an_error(backbone, vector) -> None:
    tokenizer, texts = backbone.pipeline.tokenizer, backbone.encode_text([PROMPT])
    with pytest.raises(RuntimeError), extra_word(backbone, "<rex>", vector):
        assert not torch.allclose(backbone.encode_text([PROMPT]), texts)
        raise RuntimeError
    assert backbone.pipeline.tokenizer is tokenizer
    assert torch.equal(backbone.encode_text([PROMPT]), texts)
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in backbone.pipeline.text_encoder.modules())


def test_known_words_other_widths_and_empty_classes_are_refused(backbone, vector) -> None:
    with pytest.raises(UserError, match="width"), extra_word(backbone, "<rex>", vector[:-1]):
        pass
    with pytest.raises(UserError, match="already"), extra_word(backbone, "</s>", vector):
        pass
    with pytest.raises(UserError, match="empty"):
        embedding_of(backbone, "")
