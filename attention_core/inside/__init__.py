"""What we lean on inside other libraries: one module for each, each reliance with its reason and what is without it.

Their documentation does not name it, so any release may change it; `tests/core/reliances` says which one did. Nothing
of ours is known here, and nothing else than a library's inside lives here.
"""
