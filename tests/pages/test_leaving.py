"""A choice and the change of page that follows it are one message."""

import pytest
import streamlit as st

from pages.shared.address.growth import GrowView
from pages.shared.address.view import View
from pages.shared.session import state
from pages.shared.session.menu import MENU


@pytest.fixture
def session(monkeypatch):
    found = {"view": View(), "growth": GrowView(), "growth_seed": 0}
    monkeypatch.setattr(st, "session_state", found)
    return found


@pytest.fixture
def switched(monkeypatch):
    to: list[str] = []
    monkeypatch.setattr(st, "switch_page", to.append)
    return to


@pytest.mark.parametrize("entry", MENU, ids=lambda entry: entry.title)
def test_the_choice_is_taken_and_the_page_is_opened(session, switched, entry):
    session["heads"] = {"leave": {"page": entry.url_path, "view": {"layer": 1, "head": 4}}, "view": {"layer": 5}}
    state.leave("heads")
    assert (session["view"].layer, session["view"].head) == (1, 4)
    state.follow()
    state.follow()
    assert switched == [entry.script]


def test_grow_a_head_takes_its_own(session, switched):
    session["grow"] = {"leave": {"page": "lab", "view": {"at": 7, "layer": 1}}}
    state.leave("grow")
    assert session["view"] == View()
    assert session["growth"].at == 7
    state.follow()
    assert switched == ["pages/lab.py"]


@pytest.mark.parametrize("asked", [None, {}, {"page": "nowhere"}, {"page": 3, "view": [1]}, {"view": {"layer": "x"}}])
def test_what_is_no_page_and_no_choice_changes_nothing(session, switched, asked):
    session["explorer"] = {"leave": asked}
    state.leave("explorer")
    state.follow()
    assert (session["view"], switched) == (View(), [])
