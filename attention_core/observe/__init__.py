"""How a running model is watched: its attention interface, hooks on maps and norms, giving it back as it was.

Nothing is loaded and nothing is kept of a run; what a run holds is in `record`.
"""
