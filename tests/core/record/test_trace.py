"""Weights read from a trace, whole and in blocks, and its size in memory."""

import pytest
import torch

from attention_core import capture
from tests.support import tiny


@pytest.fixture(scope="module")
def trace():
    return capture(tiny.family("llama"), tiny.SENTENCE)


def test_weights_of_a_head_are_rows_of_one(trace):
    weights = trace.weights(layer=1, head=4)
    assert weights.shape == (12, 12)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(12))


def test_all_heads_at_once_are_the_heads_one_by_one(trace):
    every = trace.layers[1].all_weights()
    for head in range(6):
        torch.testing.assert_close(every[head], trace.weights(1, head))


def test_a_block_of_rows_is_that_block_of_the_whole(trace):
    rows = slice(5, 9)
    torch.testing.assert_close(trace.weights(0, 2, rows), trace.weights(0, 2)[rows])


@pytest.mark.parametrize(
    ("layer", "head", "sentence"),
    [(2, 0, "layer must be 0 … 1; got 2"), (0, 6, "head must be 0 … 5 in layer 0; got 6")],
)
def test_what_does_not_exist_is_named(trace, layer, head, sentence):
    with pytest.raises(ValueError, match=sentence):
        trace.weights(layer, head)


def test_memory_grows_in_proportion_to_the_text():
    """Every captured tensor has one row per token: twice the tokens take twice the bytes, not four times."""
    model = tiny.family("llama")
    short, long = (capture(model, " ".join(["cat"] * n)) for n in (14, 30))
    assert (len(short.tokens), len(long.tokens)) == (16, 32)
    assert long.nbytes == 2 * short.nbytes


def test_the_witness_lives_as_long_as_the_trace():
    """A notebook need not hold on to the model."""
    trace = capture(tiny.family("bert"), tiny.SENTENCE)
    assert [check.name for check in trace.proof(0, 0)] == ["q", "k", "v", "mask", "weights", "output", "W_O"]
