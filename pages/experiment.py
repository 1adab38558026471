"""Page: change a real model's run, and see what that does to what it says, beside what chance does."""

from dataclasses import replace
from functools import partial

import streamlit as st

from pages.shared.engine.choosing import engine
from pages.shared.parts import asking, components, opening
from pages.shared.service.sources import picture_of
from pages.shared.session import state

if asking.opens_on_example():
    st.rerun()  # the text box stands above the page: it shows the other text too
view, trace = opening.trace_of_page(state.view())
asking.stop_without_model(trace)
picture = picture_of(replace(view, edits=""))  # every effect is measured against the run as the model makes it
components.experiment(
    view,
    components.Seat(
        key="experiment",
        data_key=engine().key(picture),
        seed=state.seed(),
        link=state.write_address(view),
        large=bool(st.session_state.get("frame_large")),
        on_view=partial(state.take_report, "experiment"),
        on_lost=state.renew,
    ),
    asking.told(view, trace),
    on_wish=asking.take_wish,
)
