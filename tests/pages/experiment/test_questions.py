"""Questions proposed in words from what a model says."""

import pytest

from attention_core import TokenVector, capture, load_model
from attention_core.experiment.question import question_from_plain
from attention_core.reading.readout import read_out
from attention_core.text.tokens import Token
from pages.shared.engine.plain import TraceSummary
from pages.shared.engine.summaries import model_summary, said, trace_summary
from pages.shared.experiment.questions import copied_from, proposals
from tests.support import tiny


def tokens(*ids: int) -> list[Token]:
    return [
        Token(id=one, text=str(one), piece=str(one), span=(i, i + 1), word=i, special=False)
        for i, one in enumerate(ids)
    ]


@pytest.mark.parametrize(
    ("ids", "begins"),
    [
        ((5, 6, 7, 8, 5, 6, 7, 8), 5),  # the copy begins at 4; that it would be one, nobody can tell there
        ((9, 5, 6, 7, 1, 5, 6, 7), 6),
        ((5, 6, 5, 6), 0),  # two tokens are no copy yet
        ((1, 2, 3, 4), 0),
        ((), 0),
        ((7, 7, 7, 7, 7, 7), 4),
    ],
)
def test_where_a_text_begins_to_repeat_itself(ids, begins):
    assert copied_from(tokens(*ids)) == begins


def asked_of(name: str, text: str, query: int | None = None):
    model = tiny.family(name) if name in tiny.FAMILIES else load_model(name)
    trace = capture(model, text)
    summary: TraceSummary = trace_summary(trace, model)
    return proposals(said(read_out(trace)), summary, model_summary(model), query)


def plain_of(proposal) -> dict:
    return {**proposal["plain"], **{name: slot["chosen"] for name, slot in proposal["slots"].items()}}


def test_a_model_that_writes_is_asked_for_one_word_rather_than_another():
    found = asked_of("storyteller", "Once upon a time there was a")
    assert found[0]["id"] == "difference"
    first, second = (found[0]["slots"][name]["options"][i] for i, name in enumerate(("token", "other")))
    assert plain_of(found[0])["token"] == first[0] and plain_of(found[0])["other"] == second[0]
    for proposal in found:
        assert question_from_plain(plain_of(proposal)).to_plain()["question"] == proposal["plain"]["question"]


def test_a_text_that_is_said_twice_is_asked_how_well_it_is_copied():
    found = asked_of("storyteller", "the king saw the old tree . the king saw the old tree")
    text = next(one for one in found if one["id"] == "text")
    assert plain_of(text)["begin"] > 6


def test_a_model_that_says_no_word_is_asked_for_a_vector():
    found = asked_of("minilm", "The animal was tired", query=2)
    assert [one["id"] for one in found] == ["vector", "similarity"]
    assert question_from_plain(plain_of(found[0])) == TokenVector(2)


def test_a_mask_is_asked_at_its_place():
    found = asked_of("gapfiller", "The king [MASK] on the hill.")
    assert found[0]["id"] == "difference" and isinstance(found[0]["plain"]["position"], int)
