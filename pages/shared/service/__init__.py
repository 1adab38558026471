"""The one place where models run, with its queue and its bounded caches.

It knows nothing of Streamlit.
"""
