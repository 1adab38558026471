"""Page: attention from scratch, with matrices that can be edited."""

import streamlit as st

from pages.shared.parts import components, theme
from pages.shared.session import state

message = st.empty()


def say(doing: str) -> None:
    """What is being waited for."""
    message.html(f"<div class='sl-skeleton' role='status'>{theme.escape(doing)}</div>")


state.wait_for_engine(say)
message.empty()

# After the wait: these import torch, which the worker has imported by now.
from pages.shared.lab import data, session  # noqa: E402

at = session.session()
view = state.view()
model = data.model_data(view, state.source_of(view), *state.read_so_far(view, at.real_asked)) if at.real_asked else None
components.lab(
    data.lab_data(at.shown, at.preset),
    at,
    key="lab",
    link=session.write_address(at),
    model=model,
    large=bool(st.session_state.get("frame_large")),
    on_acts=session.take_actions,
)
if at.real_asked and model is None:
    # After the Lab has been drawn: whoever goes on editing stops this run here, and is answered at once.
    state.read(view, at.real_asked)
    st.rerun()
