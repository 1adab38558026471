"""What earlier versions wrote opens as it did: traces, links, Lab states and recorded runs.

`tests/written_before` was written by commit 84f0677, with what that version showed of each in known.json: tokens, the
last row of every head, the checks of an opened file; the fields of a link; weights and output of a Lab state; the last
steps of a run. Nothing in it is ever written again: a file that a reader has saved cannot be, either.
"""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from attention_core import load_trace
from attention_core.grow.record import load_run
from attention_core.lab.link import from_link
from attention_core.lab.run import run
from pages.shared.address import growth
from pages.shared.address.view import from_params

HERE = Path(__file__).resolve().parent / "written_before"
RUNS = Path(__file__).resolve().parents[2] / "assets" / "runs"
KNOWN = json.loads((HERE / "known.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", sorted(KNOWN["traces"]))
def test_a_trace_opens_with_the_same_tokens_weights_and_checks(file):
    known, trace = KNOWN["traces"][file], load_trace(HERE / file)
    assert [token.text for token in trace.tokens] == known["tokens"]
    assert [token.text for token in trace.target_tokens] == known["target"]
    assert [layer.label for layer in trace.layers] == known["kinds"]
    for layer, rows in zip(trace.layers, known["last_rows"], strict=True):
        for head, row in enumerate(rows):
            assert layer.weights(head)[-1].tolist() == pytest.approx(row, abs=2e-6)
    assert [[check.name, check.holds] for check in trace.proof(0, 0)] == known["checks"]


@pytest.mark.parametrize("which", range(len(KNOWN["views"])))
def test_a_link_shows_the_same_view(which):
    params, fields = KNOWN["views"][which]
    view, sentences = from_params(params)
    now = asdict(view)
    assert {name: now[name] for name in fields} == fields
    assert sentences == ()


@pytest.mark.parametrize("which", range(len(KNOWN["grow"])))
def test_a_link_shows_the_same_training(which):
    params, fields = KNOWN["grow"][which]
    view, sentences = growth.from_params(params)
    assert (asdict(view), sentences) == (fields, ())


@pytest.mark.parametrize("which", range(len(KNOWN["lab"])))
def test_a_state_of_the_lab_computes_the_same(which):
    text, known = KNOWN["lab"][which]
    state = from_link(text)
    assert list(state.words) == known["words"]
    found = {f"{one.name}{'' if one.head is None else one.head}": one.values.tolist() for one in run(state).matrices}
    assert known["matrices"]
    for name, rows in known["matrices"].items():
        for now, before in zip(found[name], rows, strict=True):
            assert now == pytest.approx(before, abs=2e-6)


@pytest.mark.parametrize("file", sorted(KNOWN["runs"]))
def test_a_recorded_run_opens_with_the_same_steps(file):
    known, found = KNOWN["runs"][file], load_run(RUNS / file)
    assert found.steps.tolist()[-3:] == known["steps"]
    assert found.losses[-3:].tolist() == pytest.approx(known["losses"], abs=1e-6)
    assert int(found.maps.astype("int64").sum()) == known["maps"]
