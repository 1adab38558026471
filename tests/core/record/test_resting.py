"""A trace that is taken apart and put together again is the same trace, to the bit, with everything it can be asked."""

from dataclasses import replace

import pytest
import torch

from attention_core import capture
from attention_core.record.apart import put_together, take_apart
from tests.support import tiny

FAMILIES = sorted(tiny.FAMILIES)
TARGET = "the cat"


def captured(name: str):
    model = tiny.family(name)
    return model, capture(model, tiny.SENTENCE, target=TARGET if model.facts.encoder_decoder else None)


def again(trace, model):
    """The trace from a copy of its bytes alone; the memory that it came from is overwritten."""
    apart, blocks = take_apart(trace, model)
    data = torch.zeros(apart.nbytes, dtype=torch.uint8)
    for start, block in zip(apart.starts, blocks, strict=True):
        data.numpy().data[start : start + len(block)] = block
        block[:] = bytes(len(block))
    return put_together(apart, data)


def told(trace) -> list:
    """What a page asks of a trace, without names of memory."""
    everything = []
    for index, layer in enumerate(trace.layers):
        everything += [(index, name, tensor.clone()) for name, tensor in layer.tensors().items()]
        for head in range(layer.n_heads):
            everything += [(index, head, trace.weights(index, head)), (index, head, trace.proof(index, head))]
        if layer.exact:
            everything += [(index, name, value.clone()) for name, value in layer.projections.tensors().items()]
            everything.append((index, layer.projections.missing, layer.terms))
    everything.append(None if trace.ending is None else trace.ending.hidden.clone())
    return everything


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize("asked_before", [False, True], ids=["as it was captured", "after it was asked"])
@pytest.mark.parametrize("name", FAMILIES)
def test_what_comes_back_is_what_went(name, asked_before):
    model, trace = captured(name)
    _, twin = captured(name)
    expected = told(twin)
    if asked_before:
        told(trace)
    back = again(trace, model)
    assert same(told(back), expected)
    assert (back.tokens, back.target_tokens, back.notes, back.facts) == (
        trace.tokens,
        trace.target_tokens,
        trace.notes,
        trace.facts,
    )
    assert all(check.holds for layer in range(len(back.layers)) for check in back.proof(layer, 0))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_models_weights_stay_and_nothing_else_that_is_large(name):
    """What is taken away is what the text made; what stays refers to the model."""
    model, trace = captured(name)
    apart, _ = take_apart(trace, model)
    weights = {weight.untyped_storage().data_ptr() for weight in (*model.model.parameters(), *model.model.buffers())}
    stays = [thing for thing in apart.staying if isinstance(thing, torch.Tensor)]
    assert all(tensor.untyped_storage().data_ptr() in weights for tensor in stays)
    assert trace.nbytes <= apart.nbytes
    assert len(apart.outline) < 40_000


def test_a_readout_comes_out_alike():
    model, trace = captured("gpt2")
    expected = trace.readout()
    assert again(trace, model).readout() == expected


def test_a_trace_whose_tensors_are_not_in_this_machines_memory_is_left_alone():
    model, trace = captured("bert")
    layer = replace(trace.layers[0], q=trace.layers[0].q.to("meta"))
    assert take_apart(replace(trace, layers=(layer, *trace.layers[1:])), model) is None


def test_a_part_that_is_pythons_stays():
    model, trace = captured("bert")
    object.__setattr__(trace.layers[0], "witness", (nothing for nothing in ()))
    apart, _ = take_apart(trace, model)
    assert any(thing is trace.layers[0].witness for thing in apart.staying)
