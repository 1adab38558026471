"""What the pages lean on inside other libraries: one module for each, each reliance with its reason.

Their documentation does not name it; `tests/pages/reliances` says which one a release has changed. What is done with it
is decided elsewhere.
"""
