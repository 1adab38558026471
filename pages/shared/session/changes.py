"""What a visitor has changed in the run that he looks at: one change more, one taken back, all undone."""

import streamlit as st

from attention_core.formats.json_data import JsonMapping, JsonObject
from pages.shared.address.edits import MOST, plain_edits, signed
from pages.shared.session import state

_BEFORE = "changes_before"  # what the changes were before each of the last ones
_MOST_UNDONE = 50


def add(edit: JsonMapping) -> None:
    """Make one change more; a change that is made already is not made twice."""
    edits = plain_edits(state.view().edits)
    if edit not in edits and len(edits) < MOST:
        _set([*edits, dict(edit)])


def take_back(at: int) -> None:
    """Take one of the changes back."""
    edits = plain_edits(state.view().edits)
    _set([one for i, one in enumerate(edits) if i != at])


def undo_all() -> None:
    """Back to the run as the model makes it."""
    _set([])


def undo() -> None:
    """Take back what was done last, be it a change or a change that was taken back."""
    before = st.session_state.get(_BEFORE, [])
    if before:
        state.change(edits=before.pop(), unedited=False)


def leave_out(problem: str) -> None:
    """The changes of this run cannot be made: leave them out, and say why on the next run of the page."""
    state.change(edits="", unedited=False)
    st.session_state["problems"] = (f"{problem} The changes of this run were left out.",)


def can_undo() -> bool:
    """Is there anything to undo?"""
    return bool(st.session_state.get(_BEFORE))


def _set(edits: list[JsonObject]) -> None:
    before: list[str] = st.session_state.setdefault(_BEFORE, [])
    before.append(state.view().edits)
    del before[:-_MOST_UNDONE]
    state.change(edits=signed(edits), unedited=False)
