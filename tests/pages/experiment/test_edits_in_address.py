"""Edits of a run in an address: written, read back, and refused in a sentence when they are not what was written."""

import json
from dataclasses import replace

import pytest

from attention_core import Break, CutLink, SwitchOff
from attention_core.experiment.edits import edit_from_plain
from attention_core.formats.fields import Fault
from pages.shared.address.edits import LONGEST, MOST, for_another_text, plain_edits, signed
from pages.shared.address.view import View, carried, from_params, from_report, link, to_params

EDITS = [SwitchOff(3, 1).to_plain(), CutLink(2, 0, 4, (1, 2)).to_plain(), Break(0, 5, "no mask").to_plain()]


def test_edits_come_back_as_they_were_written():
    assert plain_edits(signed(EDITS)) == EDITS
    assert [edit_from_plain(one).to_plain() for one in plain_edits(signed(EDITS))] == EDITS
    assert signed([]) == "" and plain_edits("") == []


def test_a_link_restores_them_with_all_the_rest():
    view = View(model="storyteller", text="a “text” & more", edits=signed(EDITS), unedited=True, layer=2, head=0)
    again, problems = from_params(to_params(view))
    assert again == view and not problems
    assert (made := link(view)) and "e=" in made


@pytest.mark.parametrize(
    "tampered",
    [
        signed(EDITS).replace('"head":1', '"head":2'),
        signed(EDITS)[:-1],
        signed(EDITS)[1:],
        "00000000." + json.dumps(EDITS),
        "[]",
        "x" * (LONGEST + 1),
    ],
)
def test_tampered_edits_are_refused_in_a_sentence_and_nothing_is_changed(tampered):
    view, problems = from_params({"v": "1", "t": "a text", "e": tampered})
    assert view.edits == "" and view.text == "a text"
    assert len(problems) == 1 and "not as they were copied" in problems[0]


def test_too_many_edits_are_refused():
    many = [SwitchOff(0, head).to_plain() for head in range(MOST + 1)]
    _, problems = from_params({"e": signed(many)})
    assert f"at most {MOST} changes" in problems[0]
    with pytest.raises(Fault):
        plain_edits(signed(many))


def test_what_is_signed_and_no_list_of_edits_is_refused():
    for what in ([1], [{"edi": 1}], ["switch off"]):
        _, problems = from_params({"e": signed(what)})  # pyright: ignore[reportArgumentType]
        assert "not as they were copied" in problems[0]


def test_a_browsers_view_reports_no_edits():
    before = View(edits=signed(EDITS))
    assert from_report({"edits": "", "unedited": True, "layer": 1}, before) == View(edits=before.edits, layer=1)


def test_edits_go_along_as_long_as_they_mean_the_same():
    before = View(model="storyteller", text="Once upon", edits=signed(EDITS))
    assert carried(before, replace(before, text="Once upon a time")).edits == before.edits
    assert carried(before, replace(before, layer=1)).edits == before.edits
    assert plain_edits(carried(before, replace(before, text="Another")).edits) == [EDITS[0], EDITS[2]]
    assert carried(before, replace(before, model="minilm", text="Another")).edits == ""


def test_of_another_text_only_heads_are_the_same():
    assert plain_edits(for_another_text(signed(EDITS))) == [EDITS[0], EDITS[2]]
    taken = SwitchOff(0, 1, "resample", ("another text",)).to_plain()
    assert for_another_text(signed([taken])) == ""
