"""A model on a GPU leaves its tensors there: everything that reads a trace must, and give the same as on the CPU."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load

from attention_core import capture
from attention_core.heads.scores import head_scores
from attention_core.lab import seed
from attention_core.ledger.packs import ledger_pack, matrix_pack, products_pack, rows_pack
from attention_core.ledger.products import taken_apart
from attention_core.pictures import files, head, overview
from attention_core.reading.reading import Reading
from attention_core.record import file
from tests.support import tiny
from tests.support.elsewhere import OtherDevice, elsewhere

HEAD, QUERY = 1, 4


# An encoder, a decoder with grouped heads, an encoder-decoder: what goes wrong on a device goes wrong in one of them.
QUICK = ("bert", "llama", "t5")


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in tiny.FAMILIES],
)
def traces(request):
    model = tiny.family(request.param)
    here = capture(model, tiny.SENTENCE, target=tiny.SENTENCE if model.facts.encoder_decoder else None)
    return here, elsewhere(here)


def same(traces, make):
    here, there = traces
    expected = make(here)
    with OtherDevice():
        assert make(there) == expected


def file_of(trace):
    """The numbers of its file; the order of what a file says of itself is free."""
    return {name: tensor.tolist() for name, tensor in load(file.trace_bytes(trace, projections=True)).items()}


def test_the_other_device_keeps_a_gpus_rules():
    with OtherDevice():
        there = torch.arange(3.0, device="cuda")
        assert there.device.type == "cuda"
        assert (there * 2 + 1).device.type == "cuda"
        assert there.cpu().numpy().tolist() == [0, 1, 2]
        with pytest.raises(RuntimeError, match="mixes tensors of two devices"):
            there + torch.ones(3)
        with pytest.raises(RuntimeError, match="mixes tensors of two devices"):
            torch.cat([there, torch.zeros(1)])
        with pytest.raises(RuntimeError, match="indexed"):
            torch.ones(3)[there.long()]
        with pytest.raises(TypeError, match="cpu"):
            there.numpy()


def test_the_ledger_is_the_same(traces):
    for layer in range(len(traces[0].layers)):
        same(traces, lambda trace, layer=layer: ledger_pack(trace, layer, HEAD, QUERY))
        same(traces, lambda trace, layer=layer: str(trace.ledger(layer, HEAD, QUERY)))


def test_the_ledger_without_a_witness_is_the_same(traces):
    if not hasattr(traces[0].layers[0], "witness"):
        pytest.skip("gives its weights alone")
    blind = tuple(
        replace(trace, layers=tuple(replace(layer, witness=None) for layer in trace.layers)) for trace in traces
    )
    same(blind, lambda trace: ledger_pack(trace, 0, HEAD, QUERY))


def test_rows_products_and_matrices_are_the_same(traces):
    here = traces[0].ledger(0, HEAD, QUERY)
    for step in here:
        for name, tensor in step.tensors.items():
            if tensor.dim() == 2:
                same(traces, lambda trace, name=name: rows_pack(trace, 0, HEAD, QUERY, name, 0))
    for name in taken_apart(traces[0].layers[0]):
        same(traces, lambda trace, name=name: products_pack(trace, 0, HEAD, QUERY, name, 0, 0))
    for step in here:
        try:
            matrix_pack(traces[0], 0, HEAD, QUERY, step.name)
        except ValueError:
            continue  # a step without matrices
        same(traces, lambda trace, step=step: matrix_pack(trace, 0, HEAD, QUERY, step.name))


@pytest.mark.parametrize(
    "reading",
    [Reading(), Reading(words=True, hide_special=True, renormalise=True), Reading(by_norm=True)],
    ids=["plain", "words", "norm"],
)
def test_the_pictures_are_the_same(traces, reading):
    try:
        head.head_pack(traces[0], reading, 0, HEAD)
    except ValueError:
        pytest.skip("has no such picture")
    same(traces, lambda trace: overview.overview(trace, reading))
    same(traces, lambda trace: head.head_pack(trace, reading, 0, HEAD))
    same(traces, lambda trace: head.head_pack(trace, reading, 0, "mean"))
    same(traces, lambda trace: head.line_pack(trace, reading, 0, HEAD, "query", 2))
    same(traces, lambda trace: head.tile_pack(trace, reading, 0, HEAD, 0, 0))


def test_metrics_files_and_the_lab_are_the_same(traces):
    same(traces, lambda trace: repr(head_scores(trace)))
    same(traces, lambda trace: file_of(trace))
    same(traces, lambda trace: files.npz(trace, Reading(), 0, HEAD))
    same(traces, lambda trace: "".join(files.csv(trace, Reading(), 0, HEAD)))
    if hasattr(traces[0].layers[0], "q"):
        same(traces, lambda trace: repr(seed.from_trace(trace, 0, HEAD, (1, 2, 3, 4))))
