"""A long text: memory in proportion to its length, and pictures that are the same however they are cut into blocks."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_core import capture
from attention_core.formats import wire
from attention_core.formula.attention import attend, attention_weights
from attention_core.formula.masks import Band, causal_mask, window_mask
from attention_core.formula.metrics import strongest
from attention_core.pictures import overview as module
from attention_core.pictures.overview import overview
from attention_core.reading.reading import Reading
from attention_core.record import groups
from attention_core.record.layers import LayerTrace
from tests.commands.benchmarks import long_text
from tests.support import tiny
from tests.support.plain_numbers import decode_u1


@pytest.mark.slow
def test_memory_of_4096_tokens_stays_under_three_times_what_is_kept():
    """Peak resident memory above the loaded model, from reading the text to all heads and one head in full."""
    found = long_text.measured()
    assert found["peak"] <= long_text.TIMES_KEPT * found["kept"] + long_text.BLOCK_BYTES
    assert found["kept"] == 4 * 5 * 4096 * 768 * 4  # layers · (x, q, k, v, output) · tokens · d_model · float32


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 99),
    softcap=st.sampled_from([None, 3.0]),
    biased=st.booleans(),
    sink=st.booleans(),
    mask=st.sampled_from([None, causal_mask(11), window_mask(11, 3)]),
)
def test_the_weights_alone_are_those_of_every_step(seed, softcap, biased, sink, mask):
    random = torch.Generator().manual_seed(seed)
    q, k = torch.randn(3, 11, 5, generator=random), torch.randn(3, 11, 5, generator=random)
    options = {
        "scale": 0.7,
        "allowed": mask,
        "softcap": softcap,
        "bias": torch.randn(1, 11, 11, generator=random) if biased else None,
        "sink_logit": torch.randn(3, generator=random) if sink else None,
    }
    before = q.clone(), k.clone()
    expected = attend(q, k, k, **options).weights
    torch.testing.assert_close(attention_weights(q, k, **options), expected, atol=1e-6, rtol=0)
    assert torch.equal(q, before[0]) and torch.equal(k, before[1])


def test_keys_that_everybody_may_read_need_not_be_looked_at():
    q, k = torch.randn(2, 3, 5), torch.randn(2, 11, 5)
    allowed = causal_mask(11)[8:]
    expected = attend(q, k, k, allowed=allowed).weights
    torch.testing.assert_close(attention_weights(q, k, allowed=allowed, n_free=9), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("mask", "expected"), [(Band(ahead=0), 7), (Band(back=2, ahead=3), 10), (Band(), 13)])
def test_a_block_of_rows_sees_no_key_after_those_it_says(mask, expected):
    random = torch.Generator().manual_seed(2)
    q, k, v = (torch.randn(3, 13, 5, generator=random) for _ in range(3))
    layer = LayerTrace("decoder self", 0, q, k, v, v, 0.5, mask)
    rows = slice(4, 7)
    assert layer.keys_seen(rows) == expected
    whole = layer.all_weights()[:, rows]
    assert not whole[..., expected:].any()
    torch.testing.assert_close(layer.block_weights(slice(1, 3), rows, expected), whole[1:3, :, :expected])


@settings(max_examples=60, deadline=None)
@given(n_query=st.integers(1, 17), n_key=st.integers(1, 13), n=st.integers(0, 30), seed=st.integers(0, 50))
def test_the_strongest_links_are_found_among_rows_alone(n_query, n_key, n, seed):
    """Against sorting everything; rounded weights make many equal ones, which come in reading order."""
    random = torch.Generator().manual_seed(seed)
    weights = (torch.randn(n_query, n_key, generator=random).softmax(-1) * 5).round() / 5
    cells = [(-float(w), i) for i, w in enumerate(weights.flatten()) if w > 0]
    expected = [(i // n_key, i % n_key) for _, i in sorted(cells)[:n]]
    assert [(link.query, link.key) for link in strongest(weights, n)] == expected


def test_a_mean_over_layers_that_see_different_keys_is_the_mean_of_their_matrices(monkeypatch):
    """A causal layer beside one with three keys of look-ahead, in blocks of rows."""
    trace = capture(tiny.family("llama"), " ".join([tiny.SENTENCE] * 4))
    first, second = trace.layers[0], trace.layers[1]
    assert isinstance(second, LayerTrace)
    trace = replace(trace, layers=(first, replace(second, mask=Band(ahead=3))))
    every = torch.cat([layer.all_weights() for layer in trace.layers])
    monkeypatch.setattr(groups, "CELLS_PER_BLOCK", 1)
    monkeypatch.setattr(module, "CELLS_AT_ONCE", 1)
    header, arrays = wire.unpack(overview(trace, Reading()))
    found = next(one for one in header["aggregates"] if (one["layer"], one["head"]) == ("all:decoder:self", "mean"))
    codes = arrays["aggregates"][found["offset"] : found["offset"] + found["rows"] * found["cols"]]
    picture, _ = decode_u1(codes.reshape(found["rows"], found["cols"]))
    n = every.shape[-1]
    side = math.ceil(n / found["rows"])
    mean = torch.nn.functional.pad(every.mean(dim=0), (0, -n % side, 0, -n % side))
    blocks = mean.unflatten(0, (-1, side)).unflatten(2, (-1, side)).amax(dim=(1, 3))
    np.testing.assert_allclose(np.nan_to_num(picture), blocks, atol=0.5 / 253 + 1e-6)
