"""Whatever is public shows itself on a few lines: what it holds and how to go on, never its numbers."""

import importlib
import pkgutil
from dataclasses import fields, is_dataclass

import pytest

import attention_core
from attention_core import (
    Survey,
    attend,
    capture,
    capture_generation,
    contributions,
    find_heads,
    head_scores,
    load_model,
)
from attention_core.formats.shown import MOST
from attention_core.heads.labelling import Labelling
from tests.support import tiny

LONG = " ".join([tiny.SENTENCE] * 6)  # 60 words


@pytest.fixture(scope="module")
def things():
    model = load_model("storyteller")
    trace = capture(model, LONG)
    translated = capture(tiny.family("bart"), LONG, target=LONG)
    layer = trace.layers[0]
    generation = capture_generation(model, "Once upon a time", 12)
    labelling = Labelling(model)
    return {
        "Trace": (trace, translated, capture(tiny.family("bloom"), LONG)),
        "LayerTrace": (layer, *translated.layers),
        "LoadedModel": (model,),
        "AttentionSteps": (trace.steps(0, 0), attend(layer.q, layer.k, layer.v)),
        "Check": trace.proof(0, 0),
        "checks": (trace.proof(0, 0),),
        "Verdict": (trace.verdict(0, 0), trace.verdict(0)),
        "Token": (trace.tokens[0],),
        "Generation": (generation,),
        "HeadScores": (head_scores(trace),),
        "Survey": (Survey(model, [LONG, LONG]),),
        "Labelling": (labelling,),
        "found": find_heads(trace, [9], [3])[:1],
        "others": (
            trace.ledger(0, 0, 9),
            *trace.ledger(0, 0, 9).steps,
            trace.picture(0, 0),
            trace.readout(),
            layer.projections,
            layer.projections.q,
            layer.projections.o,
            trace.ending,
            model.facts,
            model.head,
            model.report,
        ),
        "numbers": (trace.weights(0, 0)[:3, :3], contributions(layer, 0)[:3, :3]),
    }


def test_nothing_public_takes_more_than_two_thousand_characters(things):
    for name, some in things.items():
        for one in some:
            assert 0 < len(repr(one)) <= MOST == 2_000, f"{name}: {len(repr(one)):,} characters: {repr(one)[:200]}"


@pytest.mark.parametrize(
    "name", ["Trace", "LayerTrace", "LoadedModel", "AttentionSteps", "Generation", "HeadScores", "Survey"]
)
def test_what_holds_much_says_how_to_go_on(things, name):
    for one in things[name]:
        assert "\nGo on: " in repr(one)


def test_a_trace_says_what_it_holds(things):
    said = repr(capture(tiny.family("bart"), tiny.SENTENCE, target="the dog slept"))
    for part in ("“the cat sat on a mat while the dog ran” in bart", "tokens: 12: [CLS] the cat", "target_tokens: 5"):
        assert part in said
    assert "1 cross layer, 3 heads each, 5 queries × 12 keys, float32" in said


def test_no_record_with_tensors_in_it_writes_out_their_numbers():
    """The dataclass's own `__repr__` would: each record that holds a tensor, or one that does, has another."""
    # States, batches and marks that no door of the face gives; and `text` stands above what shortens them.
    apart = ("lab", "training", "grow", "text")
    wrong = []
    for info in pkgutil.walk_packages(attention_core.__path__, "attention_core."):
        if info.name.split(".")[1] in apart or info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        for name, one in vars(module).items():
            public = isinstance(one, type) and is_dataclass(one) and not name.startswith("_")
            if not public or one.__module__ != info.name:
                continue
            shown = " ".join(str(field.type) for field in fields(one) if field.repr)
            own = not one.__repr__.__code__.co_filename.endswith("dataclasses.py")
            if any(word in shown for word in ("Tensor", "Record", "LayerTrace", "LoadedModel")) and not own:
                wrong.append(f"{info.name}.{name}")
    assert not wrong
