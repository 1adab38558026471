"""A proof's answer in words: checked, checked except, cannot be checked, differs; the same words everywhere."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from attention_core import capture, load_trace
from attention_core.formats import wire
from attention_core.ledger.packs import ledger_pack
from attention_core.models.report import LoadingReport
from attention_core.pictures.files import svg
from attention_core.pictures.head import head_pack
from attention_core.reading.reading import Reading
from attention_core.record.file import trace_bytes
from attention_core.record.projections import Found, Projections
from tests.commands import reference
from tests.support import tiny

LOST = "12 weights of the attention were in the checkpoint and have no place in this model: layer.0.distance."


@cache
def plain():
    return capture(tiny.family("bert"), tiny.SENTENCE)


@cache
def hiding():
    return capture(tiny.family("bloom"), tiny.SENTENCE)


def reserved_trace():
    return replace(plain(), reservations=(LOST,))


def without(trace, layer, **maps):
    """The trace with some linear maps of a layer not observed."""
    found = Found(replace(trace.layers[layer].projections, **maps))
    layers = [*trace.layers]
    layers[layer] = replace(layers[layer], found=found)
    return replace(trace, layers=tuple(layers))


def spoiled(trace):
    """The trace with a scale that the model does not have."""
    layers = [replace(layer, scale=layer.scale * 1.5) for layer in trace.layers]
    return replace(trace, layers=tuple(layers))


def header_of(trace, head=1, layer=0):
    return wire.unpack(head_pack(trace, Reading(), layer, head))[0]


def test_a_proof_in_which_all_was_compared_is_checked():
    verdict = plain().verdict(0, 1)
    assert (verdict.answer, verdict.reasons) == ("checked", ())
    assert verdict.text.startswith("✓ checked: matches the model to ")
    assert verdict.words == verdict.as_json()["words"] == "✓ recomputed: same as the model’s"
    assert verdict.checks == plain().proof(0, 1)


def test_what_loading_dropped_stands_in_the_answer_with_the_report_s_own_sentence():
    verdict = reserved_trace().verdict(0, 1)
    assert verdict.answer == "checked except"
    assert verdict.text == "◐ checked, except: what loading dropped or made up"
    assert verdict.reasons == (LOST,)


def test_a_map_that_was_not_observed_is_an_exception_in_its_layer_alone():
    trace = without(plain(), 0, q=None, missing=("q: no linear map that was observed gives it",))
    verdict = trace.verdict(0, 2)
    assert verdict.text == "◐ checked, except: q not observed"
    assert verdict.reasons == ("q: no linear map that was observed gives it.",)
    assert trace.verdict(1, 2).answer == "checked"
    assert trace.verdict(1).answer == "checked" and trace.verdict().answer == "checked except"


def test_both_kinds_of_exception_are_named():
    trace = without(reserved_trace(), 0, q=None, k=None, missing=("q: hidden", "k: hidden"))
    verdict = trace.verdict(0, 0)
    assert verdict.sentence == "checked, except: what loading dropped or made up; q, k not observed"
    assert verdict.reasons == (LOST, "q: hidden. k: hidden.")


def test_weights_alone_cannot_be_checked_and_a_reservation_is_said_there_too():
    verdict = hiding().verdict(0, 1)
    assert verdict.text == "○ cannot be checked: BloomModel hides q and k"
    assert "nothing could be recomputed" in verdict.reasons[0]
    assert replace(hiding(), reservations=(LOST,)).verdict(0, 1).reasons[1] == LOST
    assert hiding().verdict().answer == "cannot be checked"


def test_a_step_that_differs_is_named_before_anything_else():
    verdict = spoiled(reserved_trace()).verdict(0, 1)
    assert verdict.answer == "differs" and verdict.sign == "✗"
    assert verdict.sentence.startswith("weights differ by 0.") and "(tolerance 1e-05)" not in verdict.sentence
    assert verdict.reasons == (LOST,)


def test_a_step_that_is_not_a_number_is_said_to_be_none():
    layer = replace(plain().layers[0], output=torch.full_like(plain().layers[0].output, float("nan")))
    verdict = replace(plain(), layers=(layer, plain().layers[1])).verdict(0, 1)
    assert verdict.text == "✗ output is not a number"


@pytest.mark.parametrize(
    ("projections", "checks"), [(False, "the check of output"), (True, "the checks of output, q, k, v and W_O")]
)
def test_an_opened_file_says_which_checks_it_carries(projections, checks):
    opened = load_trace(trace_bytes(reserved_trace(), projections=projections))
    verdict = opened.verdict(0, 1)
    assert verdict.answer == "checked except"
    assert verdict.reasons[0] == LOST
    assert f"it carries {checks}. The weights are compared with what the model itself" in verdict.reasons[1]
    assert "weights, which only the model can confirm" in verdict.sentence
    assert "witness" not in str(verdict)  # a word of the code's, not of the reader's
    assert ("q, k, v, W_O not saved" in verdict.sentence) is not projections
    assert {check.name for check in verdict.checks} == ({"q", "k", "v", "output", "W_O"} if projections else {"output"})


def test_a_model_s_report_reaches_every_trace_of_it():
    model = replace(tiny.family("gpt2"), report=LoadingReport(reservations=(LOST,)))
    assert capture(model, tiny.SENTENCE).verdict().reasons == (LOST,)


CASES = {
    "checked": plain,
    "checked except": reserved_trace,
    "cannot be checked": hiding,
    "differs": lambda: spoiled(plain()),
}


@pytest.mark.parametrize("answer", CASES)
def test_badge_step_by_step_notebook_print_and_reference_say_the_same(answer):
    trace = CASES[answer]()
    verdict = trace.verdict(0, 1)
    assert verdict.answer == answer
    proof = header_of(trace)["proof"]
    assert (proof["text"], proof["reasons"]) == (verdict.text, list(verdict.reasons))
    steps = wire.unpack(ledger_pack(trace, 0, 1, 2))[0]
    assert (steps["judged"]["answer"], steps["judged"]["reasons"]) == (answer, list(verdict.reasons))
    assert steps["judged"]["text"] == trace.ledger(0, 1, 2).judged.text
    assert str(trace.ledger(0, 1, 2)).splitlines()[1].startswith(verdict.sign)
    drawn = trace.picture(0, 1)._repr_html_()
    assert verdict.text[:24] in drawn and verdict.text[:24] in svg(trace, Reading(), 0, 1)
    whole = trace.verdict()
    assert whole.text in trace._repr_html_()
    printed = list(reference.judged(tiny.family("bert"), trace))
    assert printed[0] == whole.text


def test_a_mean_has_no_proof_but_carries_the_reservation():
    assert header_of(plain(), "mean")["reserved"] == ""
    header = header_of(reserved_trace(), "mean")
    assert header["proof"] is None
    assert header["reserved"] == "except: what loading dropped or made up"
    assert header["reservations"] == [LOST]
    assert "what loading dropped" in svg(reserved_trace(), Reading(), 0, "mean")


def test_reference_prints_what_loading_said_and_what_was_done_about_it():
    model = replace(tiny.family("bert"), report=LoadingReport((LOST,), ("A pooler is not used.",)))
    printed = list(reference.judged(model, capture(model, tiny.SENTENCE)))
    assert printed[:2] == ["◐ checked, except: what loading dropped or made up", f"  {LOST}"]
    assert printed[2].startswith(f"loading: {LOST} Done about it: said beside every picture")
    assert printed[3].startswith("loading: A pooler is not used. Done about it: listed")
    quiet = list(reference.judged(tiny.family("bert"), plain()))
    assert quiet[-1] == "loading: nothing was dropped or made up"


def test_a_trace_of_nothing_but_q_k_and_v_says_that_no_map_was_observed():
    layers = tuple(replace(layer, found=None) for layer in plain().layers)
    verdict = replace(plain(), layers=layers).verdict(0, 0)
    assert verdict.text == "◐ checked, except: q, k, v, W_O not observed"
    assert Projections().missing == ()


def test_a_head_without_its_layer_is_refused():
    with pytest.raises(ValueError, match="name the layer too"):
        plain().verdict(head=1)
    with pytest.raises(ValueError, match=r"layer must be 0 … 1; got 2"):
        plain().verdict(2)
