"""A step as a learner sees it: what is sent holds no answer, what comes back is read with care."""

import json

import pytest

from attention_core import capture, load_model
from attention_core.lessons.lesson import FindHead, Number, OfCell, OfRow, Order, Point, Sketch, Step, View, Which, Word
from attention_core.lessons.measuring import measure
from attention_core.lessons.showing import revealed, shown

TEXT = "The animal didn't cross the street because it was too tired."
IT, ANIMAL = Word(word="it", otherwise="query"), Word(word="animal", otherwise="key")
SAID = {"asks": "Which does “it” give most?", "why": "{most}."}
MOST = OfCell(what="weight", layer=3, head=1, query=IT, key=ANIMAL)
BACK = OfCell(what="weight", layer=3, head=1, query=ANIMAL, key=IT)
PAIR = {"‘it’ to ‘animal’": MOST, "‘animal’ to ‘it’": BACK}
QUESTIONS = (
    Point(layer=3, head=1, query=IT, **SAID),
    Sketch(layer=3, head=1, query=IT, **SAID),
    Number(figure=MOST, **SAID),
    Which(figures=PAIR, noise=0.01, **SAID),
    Order(figures=PAIR, noise=0.01, **SAID),
    FindHead(metric="previous", bound=0.25, **SAID),
)


def step(question):
    return Step(say=("“it” looks.",), view=View(page="explore"), figures={"most": MOST}, ask=question)


@pytest.fixture(scope="module")
def trace():
    return capture(load_model("minilm"), TEXT)


@pytest.fixture(scope="module")
def other():
    return capture(load_model("minilm"), "Dogs sleep in the garden while the old cat watches them.")


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.__struct_config__.tag)
def test_what_is_shown_before_an_answer_holds_no_number_of_it(trace, question):
    told = json.dumps(shown(step(question), trace))
    values = revealed(step(question), trace, None)["values"]
    assert values
    assert not [value for value in values if f"{value:.6f}".rstrip("0") in told and value not in (0.0, 1.0)]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.__struct_config__.tag)
@pytest.mark.parametrize(
    "given", [True, -1, 10**400, "1e999", "", [], [None], {"a": 1}, [[1]], "99.99", ["it"], [float("nan")] * 16]
)
def test_what_is_no_answer_is_refused_in_a_sentence(trace, question, given):
    if question.__struct_config__.tag == "number" and given == -1:
        return  # a number, if a wrong one
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        revealed(step(question), trace, given)


def test_nothing_given_is_shown_and_not_marked(trace):
    found = revealed(step(QUESTIONS[0]), trace, None)
    assert (found["verdict"], found["says"]) == ("shown", "")
    assert found["why"] == f"{measure(MOST, trace):.2f}."


def test_bars_of_any_size_are_shares(trace):
    values = revealed(step(QUESTIONS[1]), trace, None)["values"]
    assert revealed(step(QUESTIONS[1]), trace, [37 * value for value in values])["verdict"] == "right"


def test_a_word_that_the_text_lacks_is_named_by_what_stands_for_it(other):
    seen = shown(step(QUESTIONS[3]), other)
    (_, looks), (_, looked_at) = seen["stands"]
    assert [word for word, _ in seen["stands"]] == ["it", "animal"]
    assert seen["say"] == [f"“{looks}” looks."]
    first, second = seen["ask"]["words"]
    assert (first, second) == (f"‘{looks}’ to ‘{looked_at}’", f"‘{looked_at}’ to ‘{looks}’")
    marked = revealed(step(QUESTIONS[3]), other, first)
    there, back = marked["values"]
    assert marked["verdict"] == ("right" if there > back else "no")
    assert marked["says"] == f"“{first}”: {there:.2f}; “{second}”: {back:.2f}."


def test_there_and_back_stay_two_numbers_on_any_text(other):
    """The ends of the strongest link keep their names where they stand in the other role."""
    assert measure(MOST, other) != measure(BACK, other)


def test_without_the_root_a_row_is_the_softmax_of_the_dot_products(trace):
    of_row = OfRow(what="largest", layer=3, head=1, query=IT, undivided=True)
    place = next(i for i, token in enumerate(trace.source_tokens) if token.text == "it")
    expected = trace.steps(3, 1).scores[place].softmax(-1).max()
    assert measure(of_row, trace) == pytest.approx(float(expected), abs=1e-6)


def test_the_cosine_times_both_lengths_is_the_dot_product(trace):
    of = {name: OfCell(what=name, layer=3, head=1, query=IT, key=ANIMAL) for name in ("cosine", "dot")}
    layer = trace.layers[3]
    i, j = (next(n for n, t in enumerate(trace.source_tokens) if t.text == word) for word in ("it", "animal"))
    lengths = float(layer.q[1, i].norm() * layer.k[1, j].norm())
    assert measure(of["cosine"], trace) * lengths == pytest.approx(measure(of["dot"], trace), rel=1e-5)
