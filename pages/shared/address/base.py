"""The app's base path (Streamlit's `server.baseUrlPath`), for a proxy that serves other things too."""

import streamlit as st


def base() -> str:
    """The path before every address of ours, without a slash at its end: "" or "/class"."""
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""
