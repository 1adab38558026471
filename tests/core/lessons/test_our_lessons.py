"""The lessons that come with Sightline: read, and asked on their own text and on another."""

import json
from pathlib import Path

import pytest

from attention_core import capture, load_model
from attention_core.lessons.asking import ask
from attention_core.lessons.lesson import Number, OfCell, Word, read_lesson, schema
from attention_core.lessons.measuring import measure, slip_values
from attention_core.lessons.showing import revealed, shown

FOLDER = Path(__file__).resolve().parents[3] / "assets" / "lessons"
LESSONS = {path.name: read_lesson(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}
OTHER = "Dogs sleep in the garden while the old cat watches them."
STEPS = [(name, i) for name, lesson in LESSONS.items() for i in range(len(lesson.steps))]


@pytest.fixture(scope="module")
def traces():
    return {name: capture(load_model(lesson.model), lesson.text) for name, lesson in LESSONS.items()}


def test_the_schema_for_editors_is_the_formats():
    assert json.loads((FOLDER / "schema.json").read_text("utf-8")) == schema()


def test_lessons_have_names_of_their_own_and_need_what_is_there():
    names = [lesson.id for lesson in LESSONS.values()]
    assert len(set(names)) == len(names)
    assert all(set(lesson.needs) <= set(names[:i]) for i, lesson in enumerate(LESSONS.values()))


def test_five_kinds_of_questions_and_short_steps():
    asked = [step.ask for lesson in LESSONS.values() for step in lesson.steps if step.ask]
    assert len({type(one) for one in asked}) >= 5
    assert all(len(step.say) <= 3 for lesson in LESSONS.values() for step in lesson.steps)
    assert all(4 <= len(lesson.steps) <= 6 for lesson in LESSONS.values())


def test_no_number_is_typed_into_the_prose():
    """A decimal in a sentence is a figure, or a bound that a question states."""
    for lesson in LESSONS.values():
        for step in lesson.steps:
            bounds = [str(getattr(step.ask, "bound", "")), "3.1"]
            said = " ".join([*step.say, *((step.ask.asks, step.ask.why) if step.ask else ())])
            typed = [word.strip(".,;:()") for word in said.split() if any(c.isdigit() for c in word) and "." in word]
            assert not [one for one in typed if "." in one and one not in bounds], (lesson.id, typed)


@pytest.mark.parametrize(("name", "i"), STEPS)
def test_every_question_is_asked_of_its_own_text_and_every_figure_has_a_value(traces, name, i):
    step, trace = LESSONS[name].steps[i], traces[name]
    for figure in step.figures.values():
        measure(figure, trace)
    seen = shown(step, trace)
    assert (seen["stands"], seen["missing"], len(seen["say"])) == ([], [], len(step.say))
    if step.ask is not None:
        assert seen["ask"]["why_not"] == ""
        assert "–" not in revealed(step, trace, None)["why"]


@pytest.mark.parametrize(("name", "i"), STEPS)
def test_on_another_text_a_question_is_asked_or_says_why_not(name, i):
    lesson = LESSONS[name]
    trace = capture(load_model(lesson.model), OTHER)
    seen = shown(lesson.steps[i], trace)
    if seen["ask"] is None:
        return
    if seen["ask"]["why_not"]:
        assert seen["missing"] or "within" in seen["ask"]["why_not"]
    else:
        assert "–" not in revealed(lesson.steps[i], trace, None)["why"]


def test_every_slip_that_a_question_names_gives_another_number_on_its_text(traces):
    for name, lesson in LESSONS.items():
        for step in lesson.steps:
            if isinstance(step.ask, Number):
                truth = measure(step.ask.figure, traces[name])
                for slip in step.ask.slips:
                    value = slip_values(slip, step.ask.figure, traces[name])
                    assert value is not None
                    marked = ask(step.ask, traces[name]).mark(round(value, step.ask.digits))
                    assert (marked.verdict, marked.slip) == ("nearly", slip), (name, truth, value)


def test_the_beliefs_are_wrong_on_the_lessons_own_numbers(traces):
    """What each lesson lets one expect and then shows to be otherwise is so, in its text."""
    words, scores, root = (traces[name] for name in LESSONS)
    there, back = (
        measure(OfCell(**{**_pair("it", "animal"), **extra}), words) for extra in ({}, _pair("animal", "it"))
    )
    assert there > 10 * back  # looking is not mutual
    dots = {
        pair: measure(OfCell(**{**_pair(*pair), "what": "dot"}), scores)
        for pair in (("animal", "animal"), ("cross", "street"), ("it", "it"), ("it", "animal"))
    }
    assert dots["cross", "street"] > dots["animal", "animal"]  # a score is no likeness
    assert dots["it", "animal"] > dots["it", "it"]
    steps = LESSONS["04-root.yaml"].steps
    assert measure(steps[3].figures["undivided"], root) > 0.95  # the division is no detail
    assert measure(steps[3].figures["largest"], root) < 0.7
    assert measure(steps[1].figures["score"], root) > 1  # nor does it give vectors length 1


def _pair(query: str, key: str) -> dict:
    word = {"otherwise": "none"}
    return {
        "what": "weight",
        "layer": 3,
        "head": 1,
        "query": Word(word=query, **word),
        "key": Word(word=key, **word),
    }
