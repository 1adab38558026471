"""Which address is news: one rule for the explorer, the Lab and Grow a head."""

from collections.abc import Mapping

import pytest
import streamlit as st

from pages.shared.address import bar
from pages.shared.inside import of_streamlit
from pages.shared.session import news

FIRST, SECOND, THIRD = ({"n": str(number)} for number in (1, 2, 3))


@pytest.fixture(autouse=True)
def session(monkeypatch):
    monkeypatch.setattr(st, "session_state", {})


@pytest.fixture
def history(monkeypatch):
    """Back or Forward asked for this run."""
    monkeypatch.setattr(of_streamlit, "went_through_history", lambda: True)


@pytest.fixture
def written(monkeypatch) -> list[Mapping[str, str]]:
    """What is put into an address that holds nothing of ours."""
    put: list[Mapping[str, str]] = []
    monkeypatch.setattr(bar, "bare", lambda: not put)
    monkeypatch.setattr(bar, "put", put.append)
    return put


@pytest.fixture(params=["view", "lab", "growth"])
def page(request) -> news.Page:
    for params in (FIRST, SECOND):
        news.know(params, request.param)
    return request.param


def test_where_the_visitor_is_and_an_address_without_ours_are_no_news(page):
    assert not news.comes(SECOND, page)
    assert not news.comes({}, page)


@pytest.mark.usefixtures("history")
def test_an_older_address_is_the_back_button(page):
    assert news.comes(FIRST, page)
    news.know(FIRST, page)
    assert not news.comes(FIRST, page)
    assert news.comes(SECOND, page)


def test_an_older_address_that_comes_with_whatever_was_done_undoes_nothing(page):
    """The browser had not got the newest one yet when its visitor clicked: on whatever, no page has to say so."""
    assert not news.comes(FIRST, page)


def test_a_link_that_was_never_written_is_opened(page):
    assert news.comes(THIRD, page)


def test_each_page_knows_its_own(page):
    others: list[news.Page] = ["view", "lab", "growth"]
    others.remove(page)
    assert all(news.comes(SECOND, other) for other in others)


def test_a_bare_address_that_the_visitor_came_to_gets_its_parameters(page, written):
    news.write(SECOND, page)
    assert written == [SECOND]


def test_a_bare_address_that_back_went_to_is_left_so_until_something_is_done(page, written, monkeypatch):
    with monkeypatch.context() as back:
        back.setattr(of_streamlit, "went_through_history", lambda: True)
        news.write(FIRST, page)
    news.write(FIRST, page)  # another run of the script, as the browser's views ask for when they are drawn
    assert written == []
    assert not news.comes({}, page)
    news.write(THIRD, page)
    assert written == [THIRD]


def test_a_bare_address_of_another_page_gets_its_parameters(page, written, monkeypatch):
    with monkeypatch.context() as back:
        back.setattr(of_streamlit, "went_through_history", lambda: True)
        news.write(FIRST, page)
    other: news.Page = "lab" if page == "view" else "view"
    news.write(FIRST, other)
    assert written == [FIRST]


def test_few_addresses_are_kept(page):
    for number in range(1_000):
        news.know({"n": str(number)}, page)
    assert len(st.session_state[f"{page}_known"]) == news.ADDRESSES
