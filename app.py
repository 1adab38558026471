"""Sightline's entry: the server (routes, warm-up) and the frame of every page (navigation, model, text).

`streamlit run app.py` reads this file twice: once to find `app`, then as the script that draws each visitor's page.
"""

import streamlit as st

from pages.shared.inside import of_streamlit

if not of_streamlit.runs_a_script():
    from pages.shared.http.routes import routes
    from pages.shared.http.server import lifespan, middleware
    from pages.shared.process import mishaps

    mishaps.keep_streamlit_quiet()
    of_streamlit.look_for_no_components()
    app = st.App(
        __file__,
        routes=routes(),
        lifespan=lifespan,
        middleware=middleware(),
        on_script_error=mishaps.on_script_error,
    )
else:
    from pages.shared.assets import ASSETS
    from pages.shared.session.menu import MENU

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
            st.Page(entry.script, title=entry.title, url_path=entry.url_path, default=not entry.url_path)
            for entry in MENU
        ],
        position="hidden" if embedded else "top",
    )
    if not embedded:
        st.logo(str(ASSETS / "icons" / "wordmark.svg"), size="large")

    from pages.shared.parts import controls, theme
    from pages.shared.session import state

    state.keep_large()
    theme.apply(large=bool(st.session_state.get("frame_large")), embedded=embedded)
    here = next(entry for entry in MENU if entry.url_path == page.url_path)
    if not embedded and not here.own_heading:
        theme.heading(here.title)
    view = state.open_view()
    state.follow()
    renew_facts = None
    if not embedded and here.reads_text:
        renew_facts = controls.model_and_text(view)
    page.run()
    if renew_facts:
        renew_facts()
