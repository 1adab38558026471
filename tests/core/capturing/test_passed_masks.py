"""What models pass as attention mask: nothing, booleans, or numbers that hide a key or are added to its score."""

import pytest
import torch
from torch import nn

from attention_core.capturing.masks import PassedMask, read_mask
from attention_core.formula.attention import attend
from attention_core.formula.masks import CAUSAL, EVERYTHING, Band

N_QUERY, N_KEY, N_HEADS, D_HEAD = 5, 7, 3, 2
LOWEST = torch.finfo(torch.float32).min
ALL = slice(None)


def q_and_k(n_query=N_QUERY, n_key=N_KEY):
    return torch.randn(1, N_HEADS, n_query, D_HEAD), torch.randn(1, N_HEADS, n_key, D_HEAD)


def read(mask, module=None, is_causal=None, n_query=N_QUERY, n_key=N_KEY):
    return read_mask(mask, module or nn.Identity(), *q_and_k(n_query, n_key), is_causal, {})


@pytest.mark.parametrize(
    ("keyword", "of_module", "n_query", "rule"),
    [
        (None, None, N_QUERY, CAUSAL),  # a module that says nothing is causal: transformers' own rule
        (None, False, N_QUERY, EVERYTHING),
        (None, True, N_QUERY, CAUSAL),
        (False, True, N_QUERY, EVERYTHING),  # the keyword decides over the module
        (True, False, N_QUERY, CAUSAL),
        (True, True, 1, EVERYTHING),  # a single query is the last one: it may read all
    ],
)
def test_no_mask_is_causal_or_not_as_the_call_says(keyword, of_module, n_query, rule):
    module = nn.Identity()
    if of_module is not None:
        module.is_causal = of_module
    assert read(None, module, keyword, n_query).allowed == rule


def test_booleans_and_numbers_that_hide_the_same_keys_are_the_same_rule():
    allowed = Band(back=2, ahead=0).allowed(N_QUERY, N_KEY)
    added = torch.zeros(N_QUERY, N_KEY).masked_fill(~allowed, LOWEST)
    for mask in (allowed[None, None], added[None, None], added.masked_fill(~allowed, -torch.inf)[None, None]):
        assert read(mask).allowed == Band(back=2, ahead=0)
        assert read(mask).bias is None


def test_finite_numbers_are_a_bias():
    """ALiBi by hand: one step back costs the head's slope; the future is hidden."""
    slopes = torch.tensor([0.5, 0.25, 0.125])
    distance = torch.arange(N_QUERY)[:, None] - torch.arange(N_QUERY)[None, :]
    alibi = -slopes[:, None, None] * distance
    mask = alibi.masked_fill(distance < 0, LOWEST)[None]
    passed = read(mask, n_key=N_QUERY)
    assert passed.allowed == CAUSAL
    torch.testing.assert_close(passed.bias, alibi.masked_fill(distance < 0, 0.0))
    torch.testing.assert_close(passed.additive(*q_and_k(N_QUERY, N_QUERY), ALL, ALL), mask)


def test_a_bias_left_out_changes_the_weights():
    q, k = q_and_k()
    bias = torch.randn(1, N_QUERY, N_KEY)
    passed = read(bias[None])
    with_bias = attend(q[0], k[0], k[0], bias=passed.bias).weights
    torch.testing.assert_close(with_bias, torch.softmax(q[0] @ k[0].mT / D_HEAD**0.5 + bias, dim=-1))
    assert (with_bias - attend(q[0], k[0], k[0]).weights).abs().max() > 0.1


def test_a_mask_that_differs_by_head_stays_by_head():
    allowed = torch.rand(1, N_HEADS, N_QUERY, N_KEY) > 0.5
    assert torch.equal(read(allowed).allowed, allowed[0])


@pytest.mark.parametrize("shape", [(1, 1, 1, N_KEY), (1, 1, N_QUERY, N_KEY), (1, N_QUERY, N_KEY), (N_QUERY, N_KEY)])
def test_a_mask_is_spread_over_the_axes_that_it_lacks(shape):
    mask = torch.rand(shape) > 0.5
    assert torch.equal(read(mask).allowed, mask.expand(1, 1, N_QUERY, N_KEY)[0, 0])


def test_a_block_of_rows_and_heads_is_the_same_block_of_the_whole():
    passed = PassedMask(torch.rand(N_HEADS, N_QUERY, N_KEY) > 0.5, torch.randn(N_HEADS, N_QUERY, N_KEY))
    q, k = q_and_k()
    whole = passed.additive(q, k, ALL, ALL)
    torch.testing.assert_close(passed.additive(q, k, slice(1, 3), slice(2, 4)), whole[:, 1:3, 2:4])


def test_a_mask_shared_by_layers_is_read_once():
    mask = torch.ones(1, 1, N_QUERY, N_KEY, dtype=torch.bool)
    seen = {}
    first = read_mask(mask, nn.Identity(), *q_and_k(), None, seen)
    assert read_mask(mask, nn.Identity(), *q_and_k(), None, seen) is first
