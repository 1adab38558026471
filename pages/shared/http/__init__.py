"""HTTP beside Streamlit: routes, the first frame, static files, what the server does when it starts.

Nothing is drawn with Streamlit here.
"""
