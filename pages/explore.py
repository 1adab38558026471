"""Page: every head of a model on one text, and one head in full."""

import streamlit as st

from pages.shared import components, numbers, opening, readouts, state
from pages.shared.service import picture_of, service

view, trace = opening.trace_of_page(state.open_view())
picture = picture_of(view, state.opened_file())
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
