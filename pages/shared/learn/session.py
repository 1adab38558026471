"""Where in the lessons this visitor is, and the address that says so."""

from collections.abc import Mapping

import streamlit as st

from attention_core.formats.json_data import JsonObject
from pages.shared.address import bar as address
from pages.shared.address import learning
from pages.shared.address.learning import LearnView
from pages.shared.learn import library
from pages.shared.session import news, state


def open_place() -> tuple[LearnView, tuple[str, ...]]:
    """The place of this visitor, and sentences about the link that was opened."""
    ours = address.read(address.LEARN)
    if news.comes(ours, "learn") or "learn_place" not in st.session_state:
        view, problems = learning.from_params(ours)
        if view.lesson and view.lesson not in {lesson.id for lesson in library.lessons()}:
            view, problems = LearnView(), (*problems, "This link names a lesson that is not here; all are listed.")
        st.session_state["learn_place"], st.session_state["learn_problems"] = view, problems
        st.session_state["learn_seed"] = st.session_state.get("learn_seed", 0) + 1
        news.know(ours, "learn")
    return st.session_state["learn_place"], st.session_state["learn_problems"]


def data(view: LearnView) -> JsonObject:
    """What assets/js/learn/learn.js is given; the address is written on the way."""
    news.write(learning.to_params(view), "learn")
    return {
        "lessons": library.course(),
        "select": {"lesson": view.lesson, "part": view.part, "own": view.own},
        "seed": st.session_state["learn_seed"],
        "longest": learning.LONGEST_OWN,
        "large": bool(st.session_state.get("frame_large")),
    }


def take_place() -> None:
    """Take over what the browser reports and already shows."""
    _take(st.session_state["learn"].get("view"))


def leave() -> None:
    """Open the page that the browser asks for, with the place that it reports in the same message."""
    _take((st.session_state["learn"].get("leave") or {}).get("view"))
    state.leave("learn")


def _take(report: object) -> None:
    if isinstance(report, Mapping):
        st.session_state["learn_place"] = learning.from_report(report, st.session_state["learn_place"])
