"""Bands and other masks: who may read whom."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from attention_core.formula.masks import CAUSAL, EVERYTHING, Band, as_band, causal_mask, window_mask


def test_a_causal_mask_by_hand():
    assert causal_mask(3).int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_a_window_by_hand():
    """One back, none ahead; then one back and one ahead."""
    assert window_mask(3, 1).int().tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    assert window_mask(3, 1, 1).int().tolist() == [[1, 1, 0], [1, 1, 1], [0, 1, 1]]


def test_a_block_of_rows_is_that_block_of_the_whole():
    band = Band(back=2, ahead=1)
    assert torch.equal(band.allowed(7, 5, slice(3, 6)), band.allowed(7, 5)[3:6])


@given(st.integers(1, 9), st.integers(1, 9), st.none() | st.integers(0, 9), st.none() | st.integers(0, 9))
def test_a_band_is_found_again_in_its_own_matrix(n_query, n_key, back, ahead):
    allowed = Band(back, ahead).allowed(n_query, n_key)
    found = as_band(allowed)
    if allowed.any(dim=-1).all():
        assert found is not None
        assert torch.equal(found.allowed(n_query, n_key), allowed)
    else:
        assert found is None  # some query reads nothing: no softmax, no rule


def test_named_rules_are_recognised():
    assert as_band(torch.ones(5, 7, dtype=torch.bool)) == EVERYTHING
    assert as_band(causal_mask(5)) == CAUSAL


def test_a_mask_with_a_hole_is_no_band():
    allowed = causal_mask(5)
    allowed[4, 2] = False
    assert as_band(allowed) is None
