"""Sightline's entry: the server (routes, warm-up) and the frame of every page (navigation, model, text).

`streamlit run app.py` reads this file twice: once to find `app`, then as the script that draws each visitor's page.
"""

import streamlit as st
from streamlit import runtime

if not runtime.exists():
    from pages.shared.routes import routes
    from pages.shared.server import lifespan, middleware

    app = st.App(__file__, routes=routes(), lifespan=lifespan, middleware=middleware())
else:
    from pages.shared.routes import ASSETS

    # The frame first: a browser draws it while the modules of the page are imported.
    st.set_page_config(
        page_title="Sightline",
        page_icon=str(ASSETS / "icons" / "sightline.svg"),
        layout="wide",
        initial_sidebar_state="collapsed",
    )
    embedded = bool(st.context.is_embedded)  # ?embed=true: one picture, no frame
    page = st.navigation(
        [
            st.Page("pages/explore.py", title="Explore", default=True),
            st.Page("pages/steps.py", title="Step by step", url_path="steps"),
            st.Page("pages/grow.py", title="Grow a head", url_path="grow"),
            st.Page("pages/about.py", title="What attention shows", url_path="about"),
        ],
        position="hidden" if embedded else "top",
    )
    if not embedded:
        st.logo(str(ASSETS / "icons" / "wordmark.svg"), size="large")

    from pages.shared import controls, state, theme

    state.keep_large()
    theme.apply(large=bool(st.session_state.get("frame_large")), embedded=embedded)
    view = state.open_view()
    state.follow()
    if not embedded and page.title in ("Explore", "Step by step"):
        controls.model_and_text(view)
    page.run()
