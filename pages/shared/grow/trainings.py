"""The trainings of this server's visitors: one queue for all of them, one run for each visitor."""

import secrets
from functools import cache
from typing import cast

import streamlit as st

from attention_core.formats.json_data import JsonObject
from attention_core.grow.tasks import Positions, RunSettings
from attention_core.grow.trainings import Limits, Live, Trainings
from pages.shared.address.growth import GrowView, from_report
from pages.shared.grow.packs import link_settings, title_of
from pages.shared.process.settings import from_environment


@cache
def trainings() -> Trainings:
    """The queue of this process, made when it is first asked for."""
    settings = from_environment()
    return Trainings(
        Limits(
            at_once=settings.trainings,
            seconds=settings.training_seconds,
            lease=settings.training_lease,
            niceness=settings.training_niceness,
        )
    )


def close() -> None:
    """The server stops: end what is running."""
    if trainings.cache_info().currsize:
        trainings().close()


def start(key: str = "grow") -> None:
    """The visitor asks for a run of his own, with the settings that the browser's view `key` reports."""
    report = st.session_state[key].get("start") or {}
    asked = from_report(report, GrowView())
    nonce = report.get("nonce")
    st.session_state["grow_asked"] = nonce if isinstance(nonce, int) else 0
    st.session_state["grow_problem"] = ""
    try:
        settings = RunSettings(asked.task, asked.seed, asked.heads, cast(Positions, asked.positions))
    except ValueError as error:
        st.session_state["grow_problem"] = f"This run cannot be grown: {error}."
        return
    visitor = st.session_state.setdefault("grow_visitor", secrets.token_urlsafe(12))
    known = link_settings(settings)
    st.session_state["grow_live"] = {
        "key": trainings().start(visitor, settings, st.context.ip_address or ""),
        "settings": known,
        "title": title_of(known),
    }


def own() -> JsonObject | None:
    """This visitor's run, if he started one: its key, settings and title."""
    return st.session_state.get("grow_live")


def asked() -> int:
    """Which of the browser's requests `own` and `problem` answer, as it numbered them; 0 for none."""
    return st.session_state.get("grow_asked", 0)


def problem() -> str:
    """Why this visitor's run could not be started, or ""."""
    return st.session_state.get("grow_problem", "")


def limits() -> str:
    """What a run may take, for the visitor."""
    most = trainings().limits
    at_once = "one run grows" if most.at_once == 1 else f"{most.at_once} runs grow"
    return (
        f"A run has a process of its own and at most {most.seconds:g} seconds; {at_once} at a time, the others wait "
        "their turn. It ends when you close this tab. The same settings give the same run."
    )


def status(live: Live) -> JsonObject:
    """`Status` of assets/js/grow/live.js."""
    state = "starting" if live.state == "running" and live.run is None else live.state
    return {
        "state": state,
        "ahead": live.ahead,
        "step": live.step,
        "n_steps": live.settings.n_steps,
        "seconds": live.seconds,
        "says": live.says if live.state in ("stopped", "failed") and live.says != "Stopped." else "",
    }
