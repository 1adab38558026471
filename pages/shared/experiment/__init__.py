"""Experiments as the pages ask for them: begun once for all visitors and kept, proposed in words, taken away as files.

Nothing is computed here, and no Streamlit: it asks the engine.
"""
