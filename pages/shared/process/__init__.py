"""The process of the server: settings, logs, memory, mishaps, what is not imported.

Nothing of a visitor, nothing of a model.
"""
