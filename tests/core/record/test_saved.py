"""Saved traces open again with every number, without the model."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors

from attention_core import capture, load_trace, save_trace
from attention_core.record.file import FORMAT, TraceFileError, trace_bytes
from tests.support import tiny

DECODER_TEXT = "the dog slept"


def captured(name):
    model = tiny.family(name)
    return capture(model, tiny.SENTENCE, target=DECODER_TEXT if model.facts.encoder_decoder else None)


@pytest.fixture(scope="module")
def file():
    return trace_bytes(captured("mistral"))


def changed(file: bytes, **values) -> bytes:
    """The same file with other values in its header."""
    size = int.from_bytes(file[:8], "little")
    header = json.loads(json.loads(file[8 : 8 + size])["__metadata__"][FORMAT])
    return dump_tensors(load_tensors(file), {"format": FORMAT, FORMAT: json.dumps({**header, **values})})


@pytest.mark.parametrize("name", ["bert", "mistral", "gemma2", "gpt-oss", "t5", "bart", "bloom"])
def test_a_trace_comes_back_as_it_was_with_its_proof(name, tmp_path):
    trace = captured(name)
    save_trace(trace, tmp_path / "trace.safetensors")
    again = load_trace(tmp_path / "trace.safetensors")
    for field in ("facts", "text", "pair", "target", "source_tokens", "target_tokens", "notes"):
        assert getattr(again, field) == getattr(trace, field)
    for index, layer in enumerate(again.layers):
        if not layer.exact:
            assert torch.equal(layer.all_weights(), trace.layers[index].all_weights())
            continue
        assert (layer.kind, layer.index, layer.mask) == (
            trace.layers[index].kind,
            trace.layers[index].index,
            trace.layers[index].mask,
        )
        assert torch.equal(layer.all_weights(), trace.layers[index].all_weights())
        # The witness of the weights stayed with the model.
        assert [check.name for check in again.proof(index, 0)] == ["q", "k", "v", "output", "W_O"]
        assert all(check.holds for check in again.proof(index, 0))


def test_the_same_trace_is_the_same_file_to_the_byte():
    """safetensors writes a header's entries in an order that differs from call to call: twelve are alike by luck once
    in two thousand times.
    """
    trace = captured("bert")
    assert len({trace_bytes(trace) for _ in range(12)}) == 1


def header_of(file: bytes) -> dict:
    size = int.from_bytes(file[:8], "little")
    return json.loads(json.loads(file[8 : 8 + size])["__metadata__"][FORMAT])


@pytest.mark.parametrize("name", ["bert", "mistral", "t5", "bloom"])
def test_a_file_says_which_checks_it_carries_and_so_does_the_opened_trace(name, tmp_path):
    """One way for a notebook and for the page, one default: what the linear maps prove comes along."""
    trace = captured(name)
    beside = ("row sums",) if name == "bloom" else ("q", "k", "v", "mask", "weights", "output", "W_O")
    assert trace.checks == beside == tuple(check.name for check in trace.proof(0, 0))
    save_trace(trace, tmp_path / "trace.safetensors")
    assert header_of((tmp_path / "trace.safetensors").read_bytes()) == header_of(trace_bytes(trace))
    for data in (trace_bytes(trace), trace_bytes(trace, projections=False)):
        again = load_trace(data)
        assert again.opened and not trace.opened
        assert list(again.checks) == header_of(data)["checks"] == [check.name for check in again.proof(0, 0)]
    assert again.checks == (("row sums",) if name == "bloom" else ("output",))


def test_a_file_of_before_opens_and_one_that_promises_other_checks_does_not(file):
    """Files did not say which checks they carry."""
    old = header_of(file)
    del old["checks"]
    data = dump_tensors(load_tensors(file), {"format": FORMAT, FORMAT: json.dumps(old)})
    assert load_trace(data).checks == ("q", "k", "v", "output", "W_O")
    with pytest.raises(TraceFileError, match="was changed"):
        load_trace(changed(file, checks=["q", "k", "v", "mask", "weights", "output", "W_O"]))


def test_a_tensor_that_layers_share_is_stored_once():
    """T5's relative bias is one tensor for all layers of a stack."""
    stored = load_tensors(trace_bytes(captured("t5")))
    assert sum(name.endswith(".bias") for name in stored) == 3  # encoder, decoder, and cross-attention's zeros


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda file: b"", "damaged"),
        (lambda file: b"PK\x03\x04 a zip", "damaged"),
        (lambda file: file[:200], "damaged"),
        (lambda file: file[:-10], "damaged"),
        (lambda file: dump_tensors({"a": torch.zeros(3)}), "holds no Sightline trace"),
        (lambda file: changed(file, version=3), "version 3"),
        (lambda file: changed(file, version=2), "was changed"),  # that of edited traces, and nothing was edited
        (lambda file: changed(file, source_tokens=[]), "was changed"),
        (lambda file: changed(file, layers=[]), "was changed"),
        (lambda file: changed(file, facts={"id": "x"}), "was changed"),
        (lambda file: changed(file, text=3), "was changed"),
        (lambda file: changed(file, notes=None), "was changed"),
        (lambda file: file.replace(b'\\"scale\\": ', b'\\"scope\\": '), "was changed"),
    ],
)
def test_a_bad_file_gets_a_sentence(file, damage, sentence):
    with pytest.raises(TraceFileError, match=sentence):
        load_trace(damage(file))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": True},
        {"id": 1.0},
        {"id": 2**31},
        {"id": None},
        {"span": [0]},
        {"span": [2, 1]},
        {"span": [0, "1"]},
        {"special": 1},
        {"word": "a"},
        {"text": "\ud800"},
        {"text": "\x07"},
        {"piece": 3},
        {"colour": "red"},
    ],
    ids=ascii,
)
def test_a_token_with_another_type_or_an_impossible_place_is_refused(file, changes):
    tokens = header_of(file)["source_tokens"]
    with pytest.raises(TraceFileError, match="was changed"):
        load_trace(changed(file, source_tokens=[tokens[0] | changes, *tokens[1:]]))


@pytest.mark.parametrize(
    "changes", [{"n_heads": True}, {"d_model": 2**53}, {"licence": None}, {"colour": "red"}], ids=str
)
def test_facts_of_another_type_are_refused(file, changes):
    with pytest.raises(TraceFileError, match="was changed"):
        load_trace(changed(file, facts=header_of(file)["facts"] | changes))


@given(st.integers(0, 2_000), st.binary(min_size=1, max_size=9))
def test_whatever_bytes_are_changed_it_opens_or_gets_a_sentence(file, place, junk):
    broken = file[:place] + junk + file[place + len(junk) :]
    try:
        load_trace(broken)
    except TraceFileError as error:
        assert str(error).endswith(".")
