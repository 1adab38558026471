"""Links between words: marks, punctuation, pieces of one word and resting places do not count."""

import pytest
import torch

from attention_core import capture, load_model
from attention_core.reading.links import is_word, strongest_link, word_cells
from attention_core.text.tokens import Token


@pytest.fixture(scope="module")
def minilm():
    return load_model("minilm")


def test_a_word_has_a_letter_or_a_digit_and_was_not_added_by_the_tokenizer():
    def token(text: str, special: bool = False) -> Token:
        return Token(text, 7, (0, 1), special, text, None if special else 0)

    assert [is_word(token(text)) for text in ("animal", "7", "·it", ".", "'", "…")] == [True] * 3 + [False] * 3
    assert not is_word(token("[CLS]", special=True))


def test_cells_join_words_of_the_text_and_nothing_else(minilm):
    trace = capture(minilm, "The unbelievableness ended.")
    cells = word_cells(trace, 0)
    texts = [token.text for token in trace.source_tokens]
    words = [token.word for token in trace.source_tokens]
    for i, query in enumerate(texts):
        for j, key in enumerate(texts):
            plain = not {query, key} & {"[CLS]", "[SEP]", "."}
            assert bool(cells[i, j]) == (plain and words[i] != words[j]), (query, key)


def test_a_causal_layer_leaves_out_what_may_not_be_read_and_where_heads_rest():
    trace = capture(load_model("storyteller"), "the cat sat on the mat")
    cells = word_cells(trace, 1)
    assert not cells[:, 0].any()
    assert not torch.triu(cells).any()


def test_the_strongest_link_is_a_weight_of_the_head_and_the_largest_of_its_cells(minilm):
    trace = capture(minilm, "The animal didn't cross the street because it was too tired.")
    link = strongest_link(trace, 3, 1)
    assert link is not None
    weights = trace.weights(3, 1)
    assert link.weight == pytest.approx(weights[link.query, link.key].item())
    assert link.weight == pytest.approx(weights[word_cells(trace, 3)].max().item())
    assert [trace.source_tokens[place].text for place in (link.query, link.key)] == ["it", "animal"]


def test_a_text_of_one_word_has_no_link(minilm):
    assert strongest_link(capture(minilm, "Hello."), 3, 1) is None
