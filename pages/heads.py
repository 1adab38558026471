"""Page: every head of the model in numbers, with honest names, on the visitor's text."""

from functools import partial

import streamlit as st

from pages.shared.engine.choosing import engine
from pages.shared.parts import components, given, opening, survey_panel
from pages.shared.service.sources import picture_of
from pages.shared.session import state

view, trace = opening.trace_of_page(state.view())
picture = picture_of(view, state.opened_file())
components.heads(
    view,
    components.Seat(
        key="heads",
        data_key=engine().key(picture),
        seed=state.seed(),
        link=state.write_address(view),
        large=bool(st.session_state.get("frame_large")),
        on_view=partial(state.take_report, "heads"),
        on_lost=state.renew,
    ),
    can_by_norm=all(layer.exact for layer in trace.layers),
    labels_by=survey_panel.labels_by(view),
)
if trace.given:
    given.off(given.SURVEY)
elif not state.opened_file() and not st.context.is_embedded:
    survey_panel.section(view)
