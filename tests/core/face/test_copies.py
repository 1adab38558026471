"""A trace goes where Python objects go: pickled, copied, to NumPy, into autograd."""

import copy
import pickle

import numpy as np
import pytest
import torch

from attention_core import Trace, capture, capture_ids
from tests.support import tiny

NAMES = ["llama", "gpt-oss", "bart", "t5", "bloom"]


def captured(name, **options):
    model = tiny.family(name)
    return capture(model, tiny.SENTENCE, target="the dog slept" if model.facts.encoder_decoder else None, **options)


def same_numbers(a, b) -> bool:
    return all(
        torch.equal(one, other)
        for x, y in zip(a.layers, b.layers, strict=True)
        for one, other in zip(x.tensors().values(), y.tensors().values(), strict=True)
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_pickle_is_a_file_in_memory_without_the_model(name):
    trace = captured(name)
    again = pickle.loads(pickle.dumps(trace))  # noqa: S301 (our own)
    assert isinstance(again, Trace) and again.opened and again.ending is None
    assert same_numbers(trace, again) and again.source_tokens == trace.source_tokens
    assert all(check.holds for check in again.proof(0, 0))


@pytest.mark.parametrize("name", NAMES)
def test_a_deep_copy_has_tensors_of_its_own_and_the_same_model(name):
    trace = captured(name)
    again = copy.deepcopy(trace)
    assert isinstance(again, Trace) and same_numbers(trace, again) and again.nbytes == trace.nbytes
    mine = {tensor.untyped_storage().data_ptr() for tensor in trace.captured()}
    assert not mine & {tensor.untyped_storage().data_ptr() for tensor in again.captured()}
    assert again.ending.model is trace.ending.model
    assert again.verdict().answer == trace.verdict().answer and again.checks == trace.checks


def test_a_shallow_copy_shares_everything():
    trace = captured("llama")
    again = copy.copy(trace)
    assert isinstance(again, Trace) and again.layers is trace.layers and again.ending is trace.ending


@pytest.mark.parametrize("name", NAMES)
def test_plain_tensors_can_be_trained_on_and_changed_in_place(name):
    run, plain = captured(name), captured(name, plain=True)
    assert same_numbers(run, plain)
    for tensor in plain.captured():
        assert not tensor.is_inference() and not tensor.requires_grad
    first = next(iter(plain.layers[0].tensors().values()))
    scale = torch.ones((), requires_grad=True)
    (first * scale).sum().backward()
    assert scale.grad is not None
    first.mul_(2)
    with pytest.raises(RuntimeError, match="[Ii]nference"):  # what `plain` is for
        next(iter(run.layers[0].tensors().values())).mul_(2)


def test_what_is_computed_from_a_trace_is_ordinary():
    for name in ("llama", "bloom"):
        trace = captured(name)
        scale = torch.ones((), requires_grad=True)
        (trace.weights(0, 0) * scale).sum().backward()
        assert scale.grad == pytest.approx(12.0)  # twelve rows that sum to 1


@pytest.mark.parametrize("name", ["llama", "t5", "bloom"])
def test_half_precision_comes_to_numpy_to_the_bit(name):
    model = tiny.family(name)
    model.model.to(torch.bfloat16)
    trace = capture(model, tiny.SENTENCE, target="the dog" if model.facts.encoder_decoder else None)
    layer = trace.layers[0]
    with pytest.raises(TypeError):
        next(iter(layer.tensors().values())).numpy()
    for key, array in layer.numpy().items():
        tensor = layer.tensors()[key]
        assert array.dtype == (np.bool_ if tensor.dtype == torch.bool else np.float32)
        assert torch.equal(torch.from_numpy(array).to(tensor.dtype), tensor)
    assert trace.weights(0, 0).numpy().dtype == trace.layers[0].all_weights().float().numpy().dtype == np.float32


def test_numpy_arrays_are_copies():
    trace = captured("llama")
    trace.layers[0].numpy()["q"].fill(0)
    assert bool(trace.layers[0].q.any())


def test_a_trace_of_ids_is_a_trace_with_its_doors():
    trace = capture_ids(tiny.family("llama"), [5, 6, 7, 5, 6, 7], plain=True)
    assert isinstance(trace, Trace) and [token.id for token in trace.tokens] == [5, 6, 7, 5, 6, 7]
    assert not trace.layers[0].q.is_inference()
