"""The grammar of prompts: what is built is read back, what cannot be is refused in a sentence, tokens know their clause."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.methods.grid.layout import LAYOUTS, Layout
from pipelines.methods.grid.prompt import ROLES, Clause, GridPrompt, parse
from pipelines.methods.grid.text import clause_tokens, read_clauses, read_text, read_whole

PIECES = (
    "a red ball", "rolls", " ", ".", "\n", "TOP LEFT", "This 2x2 grid illustrates", "original input:", "&amp;", "&#91",
    "_identity", "é", "汉",
    "(round)", "\u00a0", "compositional result:", "'", '"', "\\", "{}", "%s", "\u2028", "🙂", "original input", ":",
)  # fmt: skip


def random_text(draw: np.random.Generator) -> str:
    """Pieces of the grammar and other odd things, any number of them."""
    return "".join(draw.choice(PIECES) for _ in range(draw.integers(0, 7)))


def random_prompt(draw: np.random.Generator) -> GridPrompt:
    layout = Layout.read(str(draw.choice(LAYOUTS)))
    roles = ("", *ROLES)
    clauses = (Clause(random_text(draw), random_text(draw), random_text(draw), str(draw.choice(roles))) for _ in range(layout.count))
    return GridPrompt(layout, random_text(draw), tuple(clauses))


def test_what_is_built_is_read_back() -> None:
    draw, read = np.random.default_rng(0), 0
    for _ in range(400):
        try:
            prompt = random_prompt(draw)
        except UserError as refused:
            assert "brackets" in str(refused)
            continue
        assert parse(prompt.build()) == prompt
        assert parse(prompt.build().replace(" ", "\n ")) == prompt
        read += 1
    assert read > 200


def test_the_papers_example_is_the_grammar() -> None:
    clauses = [Clause("a man dances", "person", "dance", "original input"), Clause("rain"), Clause(""), Clause("x", motion="Runs Fast")]
    text = GridPrompt(Layout(2, 2), "a man", tuple(clauses)).build()
    assert text == (
        "This 2x2 grid illustrates a man. [TOP LEFT] [person_identity] [dance_motion] original input: a man dances "
        "[TOP RIGHT] rain [BOTTOM LEFT] [BOTTOM RIGHT] [runs-fast_motion] x"
    )


@pytest.mark.parametrize("text", ["a [ball]", "]", "&#91;x", "&amp;#91;"])
def test_brackets_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"brackets.*\.$"):
        Clause(text)
    with pytest.raises(UserError, match="brackets"):
        GridPrompt(Layout(2, 2), text, (Clause(),) * 4)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "begins with"),
        ("a red ball", "begins with"),
        ("This 9x9 grid illustrates x. [TOP LEFT] a", "begins with"),
        ("This 2x2 grid illustrates x. [TOP LEFT] a [TOP RIGHT] b [BOTTOM RIGHT] c", "bottom left"),
        ("This 2x2 grid. [TOP RIGHT] a [TOP LEFT] b [BOTTOM LEFT] c [BOTTOM RIGHT] d", "order"),
        ("This 1x3 grid. [LEFT] a [LEFT] b [MIDDLE] c [RIGHT] d", "order"),
        ("This 1x3 grid. [LEFT] a [b] [MIDDLE] c [RIGHT] d", "brackets"),
    ],
)
def test_what_is_no_prompt_is_refused_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse(text)


def prompt_of(*texts: str, shared: str = "") -> GridPrompt:
    return GridPrompt(Layout(2, 2), shared, tuple(Clause(text) for text in texts))


def test_tokens_belong_to_the_clause_that_they_spell(wan) -> None:
    tokenizer = wan.pipeline.tokenizer
    prompt = prompt_of("a red ball", "rolls, rolls", "", "over the sea", shared="a blue star")
    ids = tokenizer(prompt.build()).input_ids
    places = clause_tokens(tokenizer, prompt, 500)
    for part, own in zip(prompt.parts()[1:], places, strict=True):
        assert [ids[place] for place in own] == tokenizer(part, add_special_tokens=False).input_ids
    taken = sorted(place for own in places for place in own)
    assert len(set(taken)) == len(taken) and taken == list(range(len(tokenizer(prompt.opening).input_ids) - 1, len(ids) - 1))
    assert all(place < 20 for own in clause_tokens(tokenizer, prompt, 20) for place in own)


def test_clauses_are_read_as_prompts_of_their_own(wan) -> None:
    prompt = prompt_of("a red ball", "rolls", "", "the sea", shared="a blue star")
    text = read_clauses(wan, prompt, "snow")
    said = ["a blue star", "a red ball", "rolls", "", "the sea"]
    for places, words in zip(text.parts, said, strict=True):
        assert text.states[:, list(places)].equal(wan.encode_text([words]))
        assert text.empty[:, list(places)].equal(wan.encode_text(["snow"]))
    assert text.seen_by([1]) == [*text.shared, *text.clauses[1]]
    assert read_clauses(wan, prompt_of(*"abcd")).shared == ()


def test_a_whole_prompt_is_read_at_once_where_it_fits(wan) -> None:
    prompt = prompt_of(*"abcd")
    long = read_text(wan, prompt, reading="whole")
    assert long.states.shape[1] == 4 * wan.text_length, "too long for this model: read by clauses"
    wan.pipeline.tokenizer.model_max_length = 200
    wan.forget_text()
    whole = read_text(wan, prompt, reading="whole")
    assert whole.states.equal(read_whole(wan, prompt).states) and whole.states.shape[1] == 200
    assert sorted(place for part in whole.parts for place in part) == list(range(200)), "padding is everybody's"
    assert whole.states.equal(wan.encode_text([prompt.build()]))
