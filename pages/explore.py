"""Page: every head of a model on one text, and one head in full."""

import streamlit as st

from pages.shared import components, numbers, readouts, state, theme
from pages.shared.service import picture_of, service

view = state.open_view()
message = st.empty()
place = st.container(key="explore")


def say(doing: str) -> None:
    """What is being waited for; a first visitor has nothing else to look at yet."""
    if state.shown():
        message.info(theme.literal(doing))
    else:
        message.html(f"<div class='sl-skeleton' role='status'>{theme.escape(doing)}</div>")


trace, problem = state.trace_of(view, say)
message.empty()
if trace is None:
    st.error(theme.literal(problem))
    # What was typed and chosen stays in its boxes; what was shown last stays in view.
    if not state.shown():
        st.stop()
    view = state.fall_back()
    trace, _ = state.trace_of(view, say)
    if trace is None:
        st.stop()

view, clamped = state.fit(view, trace)
for sentence in (*clamped, *trace.notes):
    st.caption(theme.literal(sentence))
picture = picture_of(view, state.opened_file())
with place:
    components.explorer(
        view,
        trace,
        key="explorer",
        data_key=service().key(picture),
        seed=state.seed(),
        link=state.write_address(view),
        from_file=bool(state.opened_file()),
        embedded=bool(st.context.is_embedded),
        large=bool(st.session_state.get("frame_large")),
        on_view=state.take_report,
        on_lost=state.renew,
    )
drawn = service().prepare(picture, view.layer, view.head)
if not st.context.is_embedded:
    readouts.panel(view, trace, after=drawn)
    numbers.all_heads(view, picture)
