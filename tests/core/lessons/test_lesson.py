"""The format of a lesson: what is read, and that every fault is refused in a sentence with its line."""

import json

import pytest
from jsonschema import Draft202012Validator

from attention_core.lessons.lesson import LessonError, Point, figures_in, read_lesson, schema

GOOD = """\
format: 1
id: words
title: Words look at words
turns: The query is the word that is looked at.
minutes: 6
model: minilm
text: The animal didn't cross the street because it was too tired.
steps:
  - say:
      - Each row is one word that looks. Its shares come to {all}.
    view: {page: explore, layer: 3, head: 1, query: {word: it}}
    figures:
      all: {of: row, what: sum, layer: 3, head: 1, query: {word: it}}
    ask:
      kind: point
      asks: Which word does “it” look at most?
      why: It is so.
      layer: 3
      head: 1
      query: {word: it}
"""


def test_a_lesson_is_read():
    lesson = read_lesson(GOOD)
    assert (lesson.id, lesson.minutes, lesson.needs) == ("words", 6, ())
    question = lesson.steps[0].ask
    assert isinstance(question, Point)
    assert (question.layer, question.query.word, question.specials) == (3, "it", "hidden")
    assert figures_in(lesson.steps[0].say[0]) == ["all"]


def test_json_is_read_too():
    assert read_lesson(json.dumps({**_plain(), "id": "words"})) == read_lesson(GOOD)


def _plain() -> dict:
    row = {"layer": 3, "head": 1, "query": {"word": "it"}}
    return {
        "format": 1,
        "id": "words",
        "title": "Words look at words",
        "turns": "The query is the word that is looked at.",
        "minutes": 6,
        "model": "minilm",
        "text": "The animal didn't cross the street because it was too tired.",
        "steps": [
            {
                "say": ["Each row is one word that looks. Its shares come to {all}."],
                "view": {"page": "explore", **row},
                "figures": {"all": {"of": "row", "what": "sum", **row}},
                "ask": {"kind": "point", "asks": "Which word does “it” look at most?", "why": "It is so.", **row},
            }
        ],
    }


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("kind: point", "kind: pint", "Line 15: kind cannot be 'pint': it is one of point, sketch, number"),
        ("      layer: 3\n      head", "      head", "Line 15: this needs “layer”."),
        ("{all}", "{al}", "Line 9: step 1 speaks of {al}, and its figures have no “al”."),
        ("minutes: 6", "minutes: 600", "Line 5: expected “int” <= 60."),
        (
            "page: explore",
            "page: exlore",
            "Line 11: page cannot be 'exlore': it is one of compare, experiment, explore",
        ),
        ("turns:", "turn:", "nothing is called “turn”."),
        ("id: words", "id: words\nid: other", "Line 3: “id” stands here twice."),
        ("id: words", "id: Words and more", "Line 2: expected"),
        ("layer: 3, head", "layer: -3, head", "Line 11: expected “int” >= 0."),
        ("layer: 3, head", "layer: three, head", "Line 11: expected “int"),
        ("format: 1", "format: 2", "Line 1: format cannot be 2: it is one of 1."),
        ("steps:", "steps: [", "this is no YAML"),
        ("id: words", "id: &a words\nmodel: *a", "A lesson refers to nothing by * or &"),
        ("id: words", "id: *a", "A lesson refers to nothing by * or &"),
        ("title: Words", "title: !!python/name:os.system Words", "Line 3: "),
    ],
)
def test_a_fault_is_refused_with_its_line(was, becomes, says):
    assert was in GOOD
    with pytest.raises(LessonError) as refused:
        read_lesson(GOOD.replace(was, becomes, 1))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 5_000,
        "{" * 500,
        "a: " * 3_000,
        "x" * 300_000,
        "- 1\n- 2",
        "just words",
        "format: 1",
        "\x00",
        "? [a]\n: 1",
    ],
)
def test_whatever_comes_is_refused_in_one_sentence(text):
    with pytest.raises(LessonError) as refused:
        read_lesson(text)
    assert str(refused.value)[0].isupper()
    assert str(refused.value).endswith(".")


def test_the_format_is_described_for_editors():
    described = schema()
    assert "Point" in described["$defs"]
    assert json.loads(json.dumps(described)) == described
    Draft202012Validator.check_schema(described)
    Draft202012Validator(described).validate(_plain())
    faulty = _plain() | {"minutes": 600}
    assert not Draft202012Validator(described).is_valid(faulty)
