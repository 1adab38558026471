"""Learn on this server: the lessons that are there, and where in them a visitor is.

Questions and marks are `attention_core.lessons`; what computes them is behind the engine.
"""
