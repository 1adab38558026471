"""The formula of attention: cases by hand, invariants, torch's own attention as the reference."""

import os

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from attention_core.formula.attention import attend, merge_heads, split_heads
from attention_core.formula.masks import causal_mask

LN3 = torch.log(torch.tensor(3.0))


def qkv(*batch: int, n_query: int = 5, n_key: int = 7, d_head: int = 11, d_value: int = 13):
    return (
        torch.randn(*batch, n_query, d_head),
        torch.randn(*batch, n_key, d_head),
        torch.randn(*batch, n_key, d_value),
    )


def test_matches_a_case_worked_by_hand():
    """d_head = 1, so scores are plain products: query 0 scores the keys 0 and ln 3.

    softmax([0, ln 3]) = [1/4, 3/4], and with values 0 and 8 the output is 6.
    """
    q, k, v = torch.tensor([[1.0]]), torch.tensor([[0.0], [LN3]]), torch.tensor([[0.0], [8.0]])
    steps = attend(q, k, v)
    torch.testing.assert_close(steps.scores, torch.tensor([[0.0, LN3]]))
    torch.testing.assert_close(steps.weights, torch.tensor([[0.25, 0.75]]))
    torch.testing.assert_close(steps.output, torch.tensor([[6.0]]))


def test_a_sink_logit_takes_its_share_of_each_row_by_hand():
    """Scores 0 and ln 3 beside a sink of 0: weights 1/5 and 3/5, and the row sums to 4/5."""
    q, k, v = torch.tensor([[1.0]]), torch.tensor([[0.0], [LN3]]), torch.tensor([[0.0], [8.0]])
    weights = attend(q, k, v, sink_logit=torch.tensor(0.0)).weights
    torch.testing.assert_close(weights, torch.tensor([[0.2, 0.6]]))


def test_a_soft_cap_bends_scores_into_its_range_by_hand():
    """tanh(x) = (e^2x - 1)/(e^2x + 1): a scaled score of ln 3 capped at 1 becomes (9 - 1)/(9 + 1) = 0.8."""
    steps = attend(torch.tensor([[1.0]]), LN3.reshape(1, 1), torch.tensor([[1.0]]), softcap=1.0)
    torch.testing.assert_close(steps.scaled_scores, torch.tensor([[0.8]]))


def test_a_bias_is_added_after_scaling():
    q, k, v = qkv(3)
    bias = torch.randn(1, 5, 7)
    steps = attend(q, k, v, scale=0.5, bias=bias)
    torch.testing.assert_close(steps.scaled_scores, q @ k.mT * 0.5 + bias)


@pytest.mark.parametrize("scale", [None, 0.3])
def test_agrees_with_torch(scale):
    q, k, v = qkv(2, 3)
    allowed = torch.rand(5, 7) < 0.6
    allowed[:, 0] = True
    bias = torch.randn(3, 5, 7)
    expected = scaled_dot_product_attention(
        q, k, v, scale=scale, attn_mask=bias.masked_fill(~allowed, float("-inf")).expand(2, 3, 5, 7)
    )
    torch.testing.assert_close(attend(q, k, v, scale=scale, allowed=allowed, bias=bias).output, expected)


def test_rows_sum_to_one_and_masked_keys_get_nothing():
    q, k, v = qkv(3, n_key=5)
    weights = attend(q, k, v, allowed=causal_mask(5)).weights
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 5))
    assert (weights.triu(1) == 0).all()


def test_scores_of_a_thousand_do_not_overflow():
    q, k, v = qkv()
    assert attend(q * 1_000, k * 1_000, v).weights.isfinite().all()


def test_leaves_its_arguments_as_they_were():
    q, k, v = qkv(3, n_key=5)
    before = [x.clone() for x in (q, k, v)]
    attend(q, k, v, allowed=causal_mask(5), sink_logit=torch.zeros(3))
    for x, y in zip((q, k, v), before, strict=True):
        assert torch.equal(x, y)


def test_a_query_with_no_key_is_named():
    allowed = torch.ones(5, 7, dtype=torch.bool)
    allowed[1] = allowed[3] = False
    with pytest.raises(ValueError, match=r"every query needs at least one key; queries \[1, 3\] have none"):
        attend(*qkv(), allowed=allowed)


def test_merging_undoes_splitting():
    x = torch.randn(2, 5, 21)
    assert split_heads(x, 3).shape == (2, 3, 5, 7)
    assert torch.equal(merge_heads(split_heads(x, 3)), x)


def test_channels_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="got 20 channels for 3 heads"):
        split_heads(torch.randn(5, 20), 3)


def test_the_kernels_that_were_asked_for_are_those_that_run():
    """`make kernels` runs the tests of numbers under each: a wish that torch ignored would test one of them twice."""
    asked = os.environ.get("ATEN_CPU_CAPABILITY")
    assert torch.backends.cpu.get_cpu_capability().lower() == (asked or torch.backends.cpu.get_cpu_capability().lower())
