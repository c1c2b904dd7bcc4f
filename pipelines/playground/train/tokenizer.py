"""The tokenizer of the playground: a Unigram model whose pieces are the world's words, with letters for all others."""

from __future__ import annotations

import string
from collections import Counter
from functools import cache
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from pipelines.playground.scene import caption, sample_scene

MAX_TOKENS = 64
SPACE = "\u2581"


@cache
def world_words(captions: int = 4000) -> Counter[str]:
    """Words of the captions of training seeds with their counts, punctuation removed."""
    sentences = (caption(sample_scene(seed)) for seed in range(captions))
    return Counter(word.strip(",.") for sentence in sentences for word in sentence.split())


def new_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer in T5's conventions: one piece for each word of the world; others fall apart into letters, so none is refused."""
    letters = string.ascii_lowercase + string.digits + ".,;:!?'\"()-&/"
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(SPACE + word, -3.0) for word in sorted(world_words())]
    pieces += [(SPACE, -8.0), *((letter, -9.0) for letter in letters)]
    core = Tokenizer(models.Unigram(pieces, unk_id=2))
    core.normalizer = normalizers.Lowercase()
    spaced = pre_tokenizers.Metaspace(SPACE, prepend_scheme="always")
    core.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), spaced])
    core.decoder = decoders.Metaspace(SPACE, prepend_scheme="always")
    core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=MAX_TOKENS, padding_side="right", **special)


def load_text_encoder(encoder: PreTrainedModel, trained: PreTrainedModel, vocabulary: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """Give `encoder` the weights of `trained`, whose tokenizer lies in the folder `vocabulary`.

    Words are matched by their spelling; those that `trained` does not know keep the vectors they have.
    """
    weights, old = trained.state_dict(), AutoTokenizer.from_pretrained(vocabulary).get_vocab()
    rows = encoder.shared.weight.detach().clone()
    for word, row in tokenizer.get_vocab().items():
        if word in old:
            rows[row] = weights["shared.weight"][old[word]]
    encoder.load_state_dict(weights | {"shared.weight": rows, "encoder.embed_tokens.weight": rows})
