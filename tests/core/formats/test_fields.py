"""Typed fields of an address: read with forgiveness, one sentence for each fault, by one parser."""

from types import SimpleNamespace

import pytest

from attention_core.formats import fields
from attention_core.formats.fields import Fault, Field


def refuse(text: str) -> str:
    raise Fault("This link names a colour that there is none of.")


FIELDS = {
    "size": Field("n", "a whole number from 1 to 9", fields.between(1, 9), "The size", "1 was used", 1, always=True),
    "on": Field("s", "0 or 1", fields.switch, "The switch", "it is off", default=False),
    "place": Field("at", "a number", fields.whole, "The place", "none is chosen"),
    "colour": Field("c", "a colour", refuse, "The colour", "red was used", "red"),
}


def test_what_is_written_is_read_back_and_defaults_are_left_out():
    values = SimpleNamespace(size=1, on=True, place=None, colour="red")
    assert fields.to_params(values, FIELDS) == {"n": "1", "s": "1"}
    assert fields.read({"n": "1", "s": "1", "other": "x"}, FIELDS) == ({"size": 1, "on": True}, ())


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"n": "10"}, "The size in this link must be a whole number from 1 to 9, not “10”; 1 was used."),
        ({"s": "<b>\n"}, "The switch in this link must be 0 or 1, not “<b>�”; it is off."),
        ({"at": "9" * 50}, f"The place in this link must be a number, not “{'9' * 40}…”; none is chosen."),
        ({"c": "blue"}, "This link names a colour that there is none of."),
        ({"n": ["2", "3"]}, "This link gives the size 2 times; the last one was used."),
    ],
)
def test_each_fault_has_one_sentence(params, said):
    assert fields.read(params, FIELDS)[1] == (said,)


def test_of_a_report_only_values_that_can_be_used_are_taken():
    report = {"size": 4, "on": True, "place": None, "colour": "blue", "other": 1}
    assert fields.reported(report, FIELDS) == {"size": 4, "on": True, "place": None}
    assert fields.reported({"size": True, "on": None, "place": [1]}, FIELDS) == {}
    assert fields.reported({"size": 4.5, "place": "3"}, FIELDS) == {"place": 3}


@pytest.mark.parametrize("text", ["", "-1", "1.5", "٣", "1 ", "9" * 10])
def test_a_whole_number_is_a_few_plain_digits(text):
    with pytest.raises(ValueError):
        fields.whole(text)


@pytest.mark.parametrize("text", ["nan", "inf", "-0.1", "1.01", "half", ""])
def test_a_share_lies_between_nothing_and_all(text):
    with pytest.raises(ValueError):
        fields.share(text)


def test_an_address_holds_no_lone_surrogates():
    assert fields.query({"t": "a\ud800 b", "l": "3"}) == "?t=a%EF%BF%BD+b&l=3"
