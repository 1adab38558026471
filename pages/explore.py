"""Page: every head of a model on one text, and one head in full."""

import streamlit as st

from pages.shared.engine.choosing import engine
from pages.shared.parts import components, edited, numbers, opening, readouts
from pages.shared.service.sources import picture_of
from pages.shared.session import state

view, trace = opening.trace_of_page(state.view())
picture = picture_of(view, state.opened_file())
data_key = engine().key(picture)
components.explorer(
    view,
    trace,
    components.Seat(
        key="explorer",
        data_key=data_key,
        seed=state.seed(),
        link=state.write_address(view),
        large=bool(st.session_state.get("frame_large")),
        on_view=state.take_report,
        on_lost=state.renew,
        on_says=readouts.take_wish,
        written=readouts.written(view),
    ),
    embedded=bool(st.context.is_embedded),
)
# What the browser is about to fetch. Of a picture that it has it fetches other heads by itself, before this run.
drawn = None if st.session_state.get("fetched") == data_key else engine().prepare(picture, view.layer, view.head)
st.session_state["fetched"] = data_key
if not st.context.is_embedded:
    edited.offers(view, trace)
    readouts.panel(view, trace, after=drawn)
    numbers.all_heads(view, picture)
