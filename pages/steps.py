"""Page: one head followed in real numbers, from token to output."""

from functools import partial

import streamlit as st

from pages.shared.engine.choosing import engine
from pages.shared.parts import components, opening, theme
from pages.shared.service.sources import picture_of
from pages.shared.session import state

view, trace = opening.trace_of_page(state.view())
picture = picture_of(view, state.opened_file())
followed, said = opening.one_head(view, trace, picture.source)
if said:
    theme.say(said)
components.steps(
    followed,
    trace,
    components.Seat(
        key="steps",
        data_key=engine().key(picture),
        seed=state.seed(),
        link=state.write_address(followed),
        large=bool(st.session_state.get("frame_large")),
        on_view=partial(state.take_report, "steps"),
        on_lost=state.renew,
    ),
)
