"""Questions on real texts: the answer comes from the tensors, by other code than the marking's."""

import pytest

from attention_core import capture, load_model
from attention_core.lessons.asking import ask, told
from attention_core.lessons.lesson import (
    FindHead,
    Number,
    OfCell,
    OfColumn,
    OfRow,
    OfSize,
    OfVector,
    Order,
    Point,
    Sketch,
    Step,
    View,
    Which,
    Word,
)
from attention_core.lessons.measuring import CannotAskError, measure, place_of

TEXT = "The animal didn't cross the street because it was too tired."
IT, ANIMAL = Word(word="it"), Word(word="animal")
SAID = {"asks": "?", "why": "."}


@pytest.fixture(scope="module")
def trace():
    return capture(load_model("minilm"), TEXT)


@pytest.fixture(scope="module")
def story():
    return capture(load_model("storyteller"), "The fox met a king, and the king saw the fox.")


def place(trace, word):
    return next(i for i, token in enumerate(trace.source_tokens) if token.text == word)


def test_the_word_that_a_row_gives_most_is_right(trace):
    asked = ask(Point(layer=3, head=1, query=IT, **SAID), trace)
    row = trace.weights(3, 1)[place(trace, "it")]
    own = [i for i, token in enumerate(trace.source_tokens) if not token.special]
    best = max(own, key=lambda i: row[i])
    assert (asked.why_not, asked.query, asked.among) == ("", place(trace, "it"), tuple(own))
    assert asked.words[best] == "animal"
    assert asked.mark(best).says == f"“animal” gets the most: {float(row[best]):.2f}."
    worst = min(own, key=lambda i: row[i])
    assert asked.mark(worst).verdict == "no"


def test_a_text_without_the_word_asks_of_the_strongest_link_or_not_at_all():
    other = capture(load_model("minilm"), "Dogs sleep in the garden")
    asked = ask(Point(layer=3, head=1, query=IT, **SAID), other)
    assert asked.why_not == ""
    assert not other.source_tokens[asked.query or 0].special
    none = ask(Point(layer=3, head=1, query=Word(word="it", otherwise="none"), **SAID), other)
    assert none.why_not == "There is no “it” in this text."
    with pytest.raises(CannotAskError):
        none.mark(1)


def test_one_word_is_too_few_to_point_at():
    one = capture(load_model("minilm"), "Dogs")
    assert "fewer than 3 words" in ask(Point(layer=0, head=0, query=Word(word="dogs"), **SAID), one).why_not


def test_a_head_that_the_model_has_not_is_said(trace):
    assert ask(Point(layer=6, head=0, query=IT, **SAID), trace).why_not.endswith("has no head 6.0.")
    assert ask(Point(layer=0, head=12, query=IT, **SAID), trace).why_not.endswith("has no head 0.12.")


def test_a_row_is_drawn_over_the_words_alone_or_over_all(trace):
    row = trace.weights(3, 1)[place(trace, "it")]
    shown = ask(Sketch(layer=3, head=1, query=IT, **SAID), trace)
    assert shown.mark(row.tolist()).verdict == "right"
    hidden = ask(Sketch(layer=3, head=1, query=IT, specials="hidden", **SAID), trace)
    own = row[list(hidden.among)]
    assert len(own) == len(row) - 2
    assert hidden.mark((own / own.sum()).tolist()).verdict == "right"
    even = [1 / len(own)] * len(own)
    assert hidden.mark(even).verdict == "no"


CELL = {"layer": 3, "head": 1, "query": IT, "key": ANIMAL}


def test_figures_are_the_tensors(trace):
    layer, q, k = trace.layers[3], place(trace, "it"), place(trace, "animal")
    dot = float(layer.q[1, q] @ layer.k[1, k])
    weights = trace.weights(3, 1)
    figures = {
        OfCell(what="dot", **CELL): dot,
        OfCell(what="score", **CELL): dot / 32**0.5,
        OfCell(what="weight", **CELL): float(weights[q, k]),
        OfRow(what="sum", layer=3, head=1, query=IT): 1.0,
        OfRow(what="largest", layer=3, head=1, query=IT): float(weights[q].max()),
        OfColumn(what="sum", layer=3, head=1, key=ANIMAL): float(weights[:, k].sum()),
        OfVector(what="v", layer=3, head=1, token=ANIMAL): float(layer.v[1, k].norm()),
        OfSize(what="d"): 32.0,
        OfSize(what="root"): 32**0.5,
        OfSize(what="heads"): 12.0,
        OfSize(what="layers"): 6.0,
    }
    for figure, truth in figures.items():
        assert measure(figure, trace) == pytest.approx(truth, rel=1e-5), figure


def test_a_score_is_typed_and_the_forgotten_root_is_named(trace):
    figure = OfCell(what="score", **CELL)
    asked = ask(Number(figure=figure, slips=("forgot-root", "row-for-column"), **SAID), trace)
    truth = measure(figure, trace)
    assert asked.mark(round(truth, 2)).verdict == "right"
    forgotten = asked.mark(round(truth * 32**0.5, 2))
    assert (forgotten.verdict, forgotten.slip) == ("nearly", "forgot-root")
    turned = measure(OfCell(what="score", **{**CELL, "query": ANIMAL, "key": IT}), trace)
    assert asked.mark(round(turned, 2)).slip == "row-for-column"


def test_a_weight_without_exp_and_without_mask_is_named(story):
    cell = {"layer": 1, "head": 3, "query": Word(word="fox"), "key": Word(word="the")}
    figure = OfCell(what="weight", **cell)
    asked = ask(Number(figure=figure, digits=4, slips=("no-exp", "forgot-mask"), **SAID), story)
    assert asked.mark(measure(figure, story)).verdict == "right"
    steps = story.layers[1].steps(3)
    query, key = asked_places(story, figure)
    unmasked = float(steps.scaled_scores[query].softmax(-1)[key])
    if abs(unmasked - measure(figure, story)) > 0.02 * unmasked + 1e-4:
        assert asked.mark(unmasked).slip == "forgot-mask"


def asked_places(trace, figure):
    return (
        place_of(figure.query, trace, figure.layer, figure.head),
        place_of(figure.key, trace, figure.layer, figure.head, as_key=True),
    )


def test_a_key_that_the_mask_hides_has_no_figure(story):
    hidden = OfCell(what="weight", layer=0, head=0, query=Word(word="fox"), key=Word(word="saw"))  # the first fox
    seen = OfCell(what="weight", layer=0, head=0, query=Word(word="saw"), key=Word(word="fox"))
    assert 0 <= measure(seen, story) <= 1
    with pytest.raises(CannotAskError, match="mask hides"):
        measure(hidden, story)


def test_things_are_ordered_and_compared_by_what_they_measure(trace):
    row = OfRow(what="sum", layer=3, head=1, query=IT)
    column = OfColumn(what="sum", layer=3, head=1, key=ANIMAL)
    two = ask(Which(figures={"the row of it": row, "the column of animal": column}, noise=0.05, **SAID), trace)
    assert two.why_not == ""
    assert two.mark("the column of animal").verdict == "right"
    assert measure(column, trace) > 1.05
    same = ask(Which(figures={"a": row, "b": row}, noise=0.05, **SAID), trace)
    assert "neither has more" in same.why_not
    heads = {f"3.{head}": OfRow(what="entropy", layer=3, head=head, query=IT) for head in range(4)}
    spread = ask(Order(figures=heads, noise=0.0, **SAID), trace)
    truth = sorted(heads, key=lambda name: measure(heads[name], trace))
    assert spread.mark(truth).verdict == "right"
    assert spread.mark([truth[1], truth[0], *truth[2:]]).verdict == "nearly"
    assert spread.mark(truth[::-1]).verdict == "no"


def test_a_head_is_found_by_its_own_score(story):
    asked = ask(FindHead(metric="previous", bound=0.5, **SAID), story)
    assert asked.why_not == ""
    scores = {f"{la}.{h}": _previous(story, la, h) for la in range(4) for h in range(5)}
    best = max(scores, key=lambda name: scores[name])
    assert scores[best] > 0.5
    assert asked.mark(best).verdict == "right"
    assert asked.mark(min(scores, key=lambda name: scores[name])).verdict == "no"
    assert "no metric" in ask(FindHead(metric="nonsense", bound=0.5, **SAID), story).why_not
    assert ask(FindHead(metric="previous", bound=1.1, **SAID), story).why_not == "No head reaches 1.10 on this text."


def _previous(trace, layer, head):
    return float(trace.weights(layer, head).diagonal(-1).mean())


def test_figures_in_a_sentence_are_computed_or_a_dash(trace):
    figures = {
        "share": OfCell(what="weight", **CELL),
        "d": OfSize(what="d"),
        "none": OfSize(what="d", layer=9),
    }
    step = Step(say=("x",), view=View(page="explore"), figures=figures)
    share = float(trace.weights(3, 1)[place(trace, "it"), place(trace, "animal")])
    assert told("“it” gives {share} of {d} {none}", step, trace) == f"“it” gives {share:.2f} of 32 –"
