"""Page: two runs beside each other, A and B, and A − B: two texts, two models, two heads, or files that were opened."""

import streamlit as st

from pages.shared.comparing import session
from pages.shared.parts import compare_panel, components, opening, theme
from pages.shared.session import state

compare_panel.side_b(state.view(), session.compared())
view, a = opening.trace_of_page(state.view())
view = compare_panel.one_layer(view, a)
sides = compare_panel.read_b(view, a, session.compared())
for sentence in (*session.problems(), *sides.said):
    theme.say(sentence)
components.compare(
    view,
    sides.now,
    components.Seat(
        key="compare",
        data_key=sides.key_a,
        seed=session.seed(),
        link=session.write_address(view, sides.now),
        large=bool(st.session_state.get("frame_large")),
        on_view=session.take_report,
        on_lost=state.renew,
    ),
    key_b=sides.key_b,
    names=sides.names,
    same_run=sides.same_run,
)
if not st.context.is_embedded:
    compare_panel.readouts(view, a, sides)
