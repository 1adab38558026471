"""Two traces side by side: the same run twice, turned round, and texts whose tokens only partly belong together."""

import math

import pytest
import torch

from attention_core import capture, compare
from attention_core.comparing.alignment import given_alignment, least_edits
from tests.support.tiny import SENTENCE, family

LONGER = "the cat then sat on a mat while the dog slept"  # one word more, the last one another


def test_the_same_run_twice_differs_by_nothing():
    model = family("bert")
    both = compare(capture(model, SENTENCE), capture(model, SENTENCE))
    assert not both.difference(1, 2).any() and not both.of_heads(0).any() and both.source.n_unmatched == 0


def test_turned_round_every_sign_turns():
    model = family("gpt2")
    a, b = capture(model, SENTENCE), capture(model, LONGER)
    one, other = compare(a, b).difference(1, 1), compare(b, a).difference(1, 1)
    torch.testing.assert_close(one, -other, equal_nan=True)
    assert float(one.nan_to_num().abs().max()) > 1e-3


def test_aligned_rows_of_the_difference_sum_to_the_difference_of_their_sums():
    model = family("gpt-oss")  # rows sum to 1 less the sink's share, so their sums differ
    a, b = capture(model, SENTENCE), capture(model, "a cat sat on the mat while the dog slept")
    both = compare(a, b)
    assert both.source.n_unmatched == 0
    ours, theirs = both.weights(0, 1)
    n = ours.shape[1]
    off = both.difference(0, 1).sum(-1) - (ours.sum(-1) - theirs.sum(-1))
    assert float(off.abs().max()) <= 1e-6 * max(1, math.sqrt(n / 16))
    assert float((ours.sum(-1) - theirs.sum(-1)).abs().max()) > 1e-4


def test_what_has_no_partner_stays_is_marked_and_counted():
    model = family("bert")
    both = compare(capture(model, SENTENCE), capture(model, LONGER))
    assert both.source.n_unmatched == 1 and "1 of 13 places" in both.says
    (alone,) = [i for i, place in enumerate(both.source.places) if not place.matched]
    difference = both.difference(0, 1)
    assert bool(difference[alone].isnan().all()) and bool(difference[:, alone].isnan().all())
    assert int(difference.isnan().sum()) == 2 * 13 - 1
    replaced = [place for place in both.source.places if place.matched and not place.same]
    assert len(replaced) == 1
    apart = both.total_variation(0, 1)
    assert math.isnan(float(apart[alone])) and 0 <= float(apart.nan_to_num().max()) <= 1


def test_edit_distance_worked_by_hand():
    """kitten → sitting: k/s, e/i and one g more."""
    pairs = least_edits("kitten", "sitting")
    assert [pair for pair in pairs if pair[0] is None] == [(None, 6)] and len(pairs) == 7


def test_pairs_of_the_caller_are_taken_as_they_are_and_may_not_cross():
    tokens = capture(family("bert"), SENTENCE).tokens
    made = given_alignment([(0, 0), (3, 5)], tokens, tokens)
    assert made.n_unmatched == 2 * len(tokens) - 4
    with pytest.raises(ValueError, match="rising places"):
        given_alignment([(3, 5), (2, 6)], tokens, tokens)
