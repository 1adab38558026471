"""Layers and heads by number, from the end, by name, several, and as one: the same in every door."""

import pytest
import torch

from attention_core import capture
from tests.support import tiny


@pytest.fixture(scope="module")
def trace():
    return capture(tiny.family("llama"), tiny.SENTENCE)


@pytest.fixture(scope="module")
def translated():
    return capture(tiny.family("t5"), tiny.SENTENCE, target="the dog slept")


def test_negative_indices_count_from_the_end(trace):
    assert torch.equal(trace.weights(-1, -2), trace.weights(1, 4))
    assert torch.equal(trace.steps(-2, -1).scores, trace.steps(0, 5).scores)
    assert trace.proof(-1, -1) == trace.proof(1, 5)
    assert trace.verdict(-1, 0) == trace.verdict(1, 0)
    assert (trace.picture(-1, -1).layer, trace.picture(-1, -1).head) == (1, 5)
    last = trace.ledger(-1, -1, -1)
    assert (last.layer, last.head, last.query) == (1, 5, 11)


def test_several_keep_their_axis_and_one_loses_it(trace):
    assert trace.weights(0, slice(1, 4)).shape == (3, 12, 12)
    assert trace.weights(slice(None), 2).shape == (2, 12, 12)
    assert trace.weights(None, None).shape == (2, 6, 12, 12)
    assert trace.weights([1, 0], [5, 3, 0], slice(2, 7)).shape == (2, 3, 5, 12)
    assert torch.equal(trace.weights([1, 0], [5, 3])[1, 0], trace.weights(0, 5))
    assert torch.equal(trace.steps(1, slice(0, 2)).scaled_scores[1], trace.steps(1, 1).scaled_scores)


def test_the_mean_is_that_of_the_heads_one_by_one(trace):
    each = torch.stack([torch.stack([trace.weights(layer, head) for head in range(6)]) for layer in range(2)])
    close = {"atol": 1e-6, "rtol": 0}  # float32: sums of up to 12 weights
    torch.testing.assert_close(trace.weights(1, "mean"), each[1].mean(dim=0), **close)
    torch.testing.assert_close(trace.weights("mean", 3), each[:, 3].mean(dim=0), **close)
    torch.testing.assert_close(trace.weights("mean", "mean"), each.mean(dim=(0, 1)), **close)
    torch.testing.assert_close(trace.weights("max", "max"), each.amax(dim=(0, 1)), **close)


def test_layers_of_an_encoder_decoder_are_named_by_kind(translated):
    place = next(n for n, layer in enumerate(translated.layers) if (layer.kind, layer.index) == ("cross", 1))
    for same in (
        translated.layer(1, kind="cross"),
        translated.layer("cross 1"),
        translated.layer("cross layer 1"),
        translated.layer(-1, kind="cross"),
        translated.layer(translated.layers[place].label),
    ):
        assert same is translated.layers[place]
    assert torch.equal(translated.weights(1, 2, kind="cross"), translated.weights(place, 2))
    assert torch.equal(translated.weights("cross 1", 2), translated.weights(place, 2))
    assert translated.weights(None, "mean", kind="cross").shape == (2, 5, 12)
    assert translated.picture("cross 1", 0).layer == translated.picture(1, 0, kind="cross").layer == place
    assert translated.picture("mean", "mean", kind="cross").layer == "all:decoder:cross"
    assert translated.query_tokens("cross 0") == translated.target_tokens
    assert translated.layer("encoder 1").kind == "encoder self"


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda t: t.weights(99, 0), "layer must be 0 … 5; got 99"),
        (lambda t: t.weights(-7, 0), r"layer must be 0 … 5; got -7 \(-1 is the last\)"),
        (lambda t: t.weights(0, 3), "head must be 0 … 2 in layer 0; got 3"),
        (lambda t: t.weights(2, 0, kind="cross"), "layer of kind 'cross' must be 0 … 1; got 2"),
        (lambda t: t.weights(0, 0, kind="crosss"), "no layers of kind 'crosss' here: there is kind=\"encoder self\""),
        (lambda t: t.weights("middle 1", 0), "no layer 'middle 1'"),
        (lambda t: t.weights("mean", 0), 'layers of one kind go together: name one, kind="encoder self"'),
        (lambda t: t.attention(), 'layers of one kind go together: name one, kind="encoder self"'),
        (lambda t: t.weights(0, slice(9, 12)), "picks no head of 3"),
        (lambda t: t.picture(99, 0), "layer must be 0 … 5; got 99"),
        (lambda t: t.picture(0, 99), "head must be 0 … 2 in layer 0; got 99"),
        (lambda t: t.picture(0, slice(0, 2)), "a picture shows one head"),
        (lambda t: t.picture("mean", 1, kind="cross"), "a picture shows one layer"),
        (lambda t: t.steps(0, "mean"), "no steps of a mean over heads"),
        (lambda t: t.ledger(0, 0, 99), "query must be 0 … 11"),
    ],
)
def test_what_there_is_not_is_refused_at_once_and_by_name(translated, ask, sentence):
    with pytest.raises(ValueError, match=sentence):
        ask(translated)


def test_given_weights_cannot_be_changed_through_what_was_asked():
    """Of an architecture that hides q and k the weights are the record's own numbers: what is given is a copy."""
    trace = capture(tiny.family("bloom"), tiny.SENTENCE)
    before = trace.weights(0, 0).clone()
    trace.weights(0, 0).zero_()
    assert torch.equal(trace.weights(0, 0), before)
