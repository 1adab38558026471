"""How weights are read: hidden tokens, renormalised rows, words, mean and maximum over heads."""

import pytest
import torch

from attention_core.reading.reading import (
    Item,
    Reading,
    describe,
    hidden_share,
    items,
    over_heads,
    read_allowed,
    read_weights,
)
from attention_core.text.tokens import Token

NAN = float("nan")


def sentence(*pieces: str) -> list[Token]:
    """Tokens of a WordPiece sentence: `[CLS]` and `[SEP]` are special, `##` continues a word."""
    tokens: list[Token] = []
    word = -1
    for id_, piece in enumerate(pieces):
        special = piece.startswith("[")
        word += not special and not piece.startswith("##")
        text = piece.replace("##", "‿")
        tokens.append(Token(text, id_, (0, 0), special, piece, None if special else word))
    return tokens


def random_weights(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7)).softmax(dim=-1)


TOKENS = sentence("[CLS]", "un", "##believ", "##able", "!", "[SEP]", "so")  # 7 tokens
WHOLE = items(TOKENS, Reading())


def test_a_plain_reading_shows_every_token_alone():
    assert [item.pieces for item in WHOLE] == [(n,) for n in range(7)]
    assert [item.text for item in WHOLE] == ["[CLS]", "un", "‿believ", "‿able", "!", "[SEP]", "so"]


def test_words_join_their_pieces_and_special_tokens_stay_alone():
    assert items(TOKENS, Reading(words=True)) == (
        Item("[CLS]", (0,), True),
        Item("unbelievable", (1, 2, 3), False),
        Item("!", (4,), False),
        Item("[SEP]", (5,), True),
        Item("so", (6,), False),
    )


def test_hidden_tokens_are_left_out_before_words_are_formed():
    assert [item.pieces for item in items(TOKENS, Reading(hide_special=True))] == [(1,), (2,), (3,), (4,), (6,)]
    causal = TOKENS[1:]  # a causal model without special tokens: the first token is the sink
    assert [item.text for item in items(causal, Reading(hide_first=True, words=True))][0] == "believable"


def test_words_of_two_sentences_with_the_same_number_stay_apart():
    tokens = sentence("[CLS]", "a", "[SEP]") + sentence("a", "[SEP]")
    assert [item.pieces for item in items(tokens, Reading(words=True))] == [(0,), (1,), (2,), (3,), (4,)]


def test_hiding_everything_is_refused_in_words():
    with pytest.raises(ValueError, match=r"Hiding special tokens would leave nothing of 2 tokens to show\."):
        items(sentence("[CLS]", "[SEP]"), Reading(hide_special=True))
    with pytest.raises(ValueError, match="special tokens and the first token"):
        items(sentence("a", "[SEP]"), Reading(hide_special=True, hide_first=True))
    with pytest.raises(ValueError, match="no tokens"):
        items([], Reading())


def test_words_worked_by_hand():
    """Keys b, ##c are one word: 0.25 + 0.5 = 0.75. Query rows a and ##b are one: (0.75 + 0.25) / 2 = 0.5."""
    weights = torch.tensor([[0.25, 0.25, 0.5], [0.75, 0.25, 0.0]])
    queries = (Item("ab", (0, 1), False),)
    keys = (Item("a", (0,), False), Item("bc", (1, 2), False))
    torch.testing.assert_close(read_weights(weights, queries, keys), torch.tensor([[0.5, 0.5]]))


def test_rows_of_words_still_sum_to_one():
    weights = random_weights(2, 3, 7, 7)
    words = items(TOKENS, Reading(words=True))
    read = read_weights(weights, words, words)
    assert read.shape == (2, 3, 5, 5)
    torch.testing.assert_close(read.sum(dim=-1), torch.ones(2, 3, 5))


def test_words_agree_with_a_product_by_membership_matrices():
    """Reference: M_query · weights · M_keyᵀ with rows of M_query divided by their size."""
    weights = random_weights(3, 7, 7)
    words = items(TOKENS, Reading(words=True, hide_special=True))
    member = torch.zeros(len(words), 7)
    for row, item in enumerate(words):
        member[row, list(item.pieces)] = 1
    expected = (member / member.sum(dim=1, keepdim=True)) @ weights @ member.T
    torch.testing.assert_close(read_weights(weights, words, words), expected)


def test_queries_and_keys_of_cross_attention_are_read_each_in_their_own_way():
    weights = random_weights(5, 7)
    read = read_weights(weights, WHOLE[1:5], items(TOKENS, Reading(words=True)))
    assert read.shape == (4, 5)


def test_hidden_keys_take_their_weight_away_unless_rows_are_renormalised():
    weights = torch.tensor([[0.5, 0.125, 0.375], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    shown = WHOLE[1:3]
    torch.testing.assert_close(read_weights(weights, shown, shown), torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    read = read_weights(weights, WHOLE[:3], shown, renormalise=True)
    torch.testing.assert_close(read, torch.tensor([[0.25, 0.75], [1.0, 0.0], [NAN, NAN]]), equal_nan=True)


def test_a_nan_stays_in_its_own_cell():
    weights = random_weights(7, 7)
    weights[6, 4] = NAN
    words = items(TOKENS, Reading(words=True))
    assert read_weights(weights, words, words).isnan().nonzero().tolist() == [[4, 2]]


def test_reading_leaves_the_weights_unchanged():
    weights = random_weights(7, 7)
    before = weights.clone()
    words = items(TOKENS, Reading(words=True, hide_first=True))
    read_weights(weights, words, words, renormalise=True)
    hidden_share(weights, words, words)
    assert torch.equal(weights, before)


def test_the_hidden_share_is_what_shown_keys_do_not_have():
    weights = random_weights(3, 7, 7)
    words = items(TOKENS, Reading(words=True, hide_special=True))
    shown = read_weights(weights, words, words).sum(dim=-1)
    torch.testing.assert_close(hidden_share(weights, words, words), 1 - shown)
    assert hidden_share(weights, words, WHOLE).tolist() == [[0.0] * 3] * 3


def test_a_word_may_be_read_if_any_of_its_pieces_may():
    """Causal: piece 1 may read pieces 0 and 1, so the word (0, 1) may read itself, but not what follows."""
    causal = torch.ones(7, 7, dtype=torch.bool).tril()
    words = items(TOKENS, Reading(words=True))
    read = read_allowed(causal, words, words)
    assert read is not None
    assert torch.equal(read, torch.ones(5, 5, dtype=torch.bool).tril())
    assert read_allowed(None, words, words) is None


def test_a_cell_that_may_not_be_read_has_no_weight_after_reading():
    causal = torch.ones(7, 7, dtype=torch.bool).tril()
    weights = random_weights(7, 7).masked_fill(~causal, 0)
    words = items(TOKENS, Reading(words=True))
    allowed = read_allowed(causal, words, words)
    assert allowed is not None
    assert (read_weights(weights, words, words)[~allowed] == 0).all()


def test_the_picture_says_how_it_was_read():
    assert describe(Reading()) == ()
    assert describe(Reading(hide_special=True)) == (
        "Special tokens hidden, rows not renormalised: they can sum to less than 1.",
    )
    assert describe(Reading(hide_special=True, hide_first=True, renormalise=True, words=True)) == (
        "Special tokens and first token hidden, rows renormalised: they sum to 1.",
        "Words: weights summed over a word's keys, averaged over its queries.",
    )
    assert describe(Reading(hide_first=True))[0].startswith("First token hidden")
    assert describe(Reading(renormalise=True)) == ("Rows renormalised: they sum to 1.",)


def test_mean_and_maximum_over_heads():
    heads = torch.tensor([[[0.0, 1.0]], [[0.5, 0.5]]])
    assert over_heads(heads, "mean").tolist() == [[0.25, 0.75]]
    assert over_heads(heads, "max").tolist() == [[0.5, 1.0]]
    weights = random_weights(2, 3, 5, 7)
    torch.testing.assert_close(over_heads(weights, "mean").sum(dim=-1), torch.ones(2, 5))
    assert (over_heads(weights, "max").sum(dim=-1) >= 1 - 1e-6).all()  # float32, sums of 7
