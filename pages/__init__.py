"""The pages of the app: thin scripts that Streamlit runs from here.

What two of them share is in `pages.shared`; no page imports another.
"""
