"""Finding heads by where they look, and heads that behave alike."""

import math

import pytest
import torch

from attention_core import capture
from attention_core.heads.search import divergence, find_heads, occurrences, similar_heads
from tests.core.heads.test_head_metrics import as_shares, hand_trace
from tests.support.tiny import SENTENCE, family


def test_a_head_is_found_with_its_null_and_rank_worked_by_hand():
    """From token 2 to tokens 0 and 1: 0.5 + 0.2. The two other keys have 0.3, so two of them have 0.3. Their mean is
    0.35 a key, and both others (0.2, 0.1) are below."""
    (found,) = find_heads(
        hand_trace([[0.25] * 4, [0.25] * 4, [0.5, 0.2, 0.2, 0.1], [0.25] * 4], "a b c d"), [2], [0, 1]
    )
    assert found.weight == pytest.approx(0.7) and found.null == pytest.approx(0.3)
    assert (found.rank, found.of) == (1, 3)


def test_the_largest_weight_comes_first_and_agrees_with_the_matrices():
    trace = capture(family("bert"), SENTENCE)
    found = find_heads(trace, [3, 4], [1])
    expected = sorted((trace.weights(i, h)[[3, 4], 1].mean().item() for i in range(2) for h in range(3)), reverse=True)
    assert [one.weight for one in found] == pytest.approx(expected)
    assert find_heads(trace, [2], list(range(12)))[0].weight == pytest.approx(1)
    assert math.isnan(find_heads(trace, [2], list(range(12)))[0].null)


def test_norm_based_heads_are_found_by_what_the_keys_add():
    trace = capture(family("bert"), SENTENCE)
    shares = as_shares(trace)
    for found, expected in zip(
        find_heads(trace, [3, 4], [1], by_norm=True), find_heads(shares, [3, 4], [1]), strict=True
    ):
        assert (found.layer, found.head, found.rank, found.of) == (
            expected.layer,
            expected.head,
            expected.rank,
            expected.of,
        )
        assert (found.weight, found.null) == pytest.approx((expected.weight, expected.null), abs=1e-5)
    pairs = zip(similar_heads(trace, 0, 1, by_norm=True), similar_heads(shares, 0, 1), strict=True)
    for found, expected in pairs:
        assert found.distance == pytest.approx(expected.distance, abs=1e-5)
    assert similar_heads(trace, 0, 1, by_norm=True)[0].distance != similar_heads(trace, 0, 1)[0].distance


def test_causal_heads_are_not_found_looking_ahead():
    trace = capture(family("gpt2"), SENTENCE)
    assert find_heads(trace, [1], [5]) == ()
    assert len(find_heads(trace, [5], [1])) == 6


def test_a_wrong_choice_says_what_was_needed():
    trace = capture(family("gpt2"), SENTENCE)
    with pytest.raises(ValueError, match="at least one query"):
        find_heads(trace, [], [1])
    with pytest.raises(ValueError, match="no layer"):
        find_heads(trace, [99], [1])


def test_in_an_encoder_decoder_the_kind_says_which_tokens_are_meant():
    trace = capture(family("t5"), SENTENCE, target="the dog ran")
    assert {trace.layers[one.layer].kind for one in find_heads(trace, [2], [7], "cross")} == {"cross"}


def test_words_are_found_and_whatever_their_capitals_if_that_is_asked_for():
    trace = capture(family("bert"), SENTENCE)
    assert occurrences(trace.tokens, "the") == ((1,), (8,))
    assert occurrences(trace.tokens, "The") == ()
    assert occurrences(trace.tokens, "The", capitals=False) == ((1,), (8,))
    assert occurrences(trace.tokens, "bird") == ()


def test_an_aromatic_c_is_not_taken_for_an_aliphatic_one():
    trace = hand_trace(torch.eye(5), "C c C O c")
    assert occurrences(trace.tokens, "c") == ((1,), (4,))
    assert occurrences(trace.tokens, "C") == ((0,), (2,))


def test_divergence_is_0_for_equal_rows_1_for_rows_without_a_common_key_and_known_between():
    """(½, ½) and (1, 0): H(¾, ¼) − ½ = 0.8113 − 0.5."""
    one = torch.tensor([[0.5, 0.5, 0], [1, 0, 0], [0.5, 0.5, 0]])
    other = torch.tensor([[0.5, 0.5, 0], [0, 0, 1], [1, 0, 0]])
    torch.testing.assert_close(divergence(one, other), torch.tensor([0.0, 1.0, 0.311278]), atol=1e-5, rtol=0)


def test_similar_heads_agree_with_kullback_leibler_twice():
    trace = capture(family("bert"), SENTENCE)
    found = similar_heads(trace, 0, 1)
    assert len(found) == 5 and list(found) == sorted(found, key=lambda one: one.distance)
    p = trace.weights(0, 1)
    for one in found:
        r = trace.weights(one.layer, one.head)
        m = (p + r) / 2
        expected = ((p * (p / m).log2()).sum() + (r * (r / m).log2()).sum()) / 2 / len(p)
        assert one.distance == pytest.approx(expected.item(), abs=1e-5)


def test_a_twin_is_the_nearest_head():
    rows = torch.rand(5, 5, generator=torch.Generator().manual_seed(3)).softmax(dim=-1)
    trace = hand_trace(torch.stack([rows, torch.eye(5), rows]), "a b c d e")
    assert [(one.head, round(one.distance, 5)) for one in similar_heads(trace, 0, 0)][0] == (2, 0.0)
