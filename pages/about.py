"""Page: what attention weights say and what they do not, how the proof works, what the models are."""

import streamlit as st

st.title("What attention shows, and what it does not")
st.markdown("(being written)")
