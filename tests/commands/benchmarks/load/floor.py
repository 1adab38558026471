"""The floor: a Streamlit page that does nothing, served as ours is. What it costs is Streamlit's own."""

import streamlit as st

st.text("nothing else")
