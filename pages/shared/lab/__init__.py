"""The Lab's session and its state as plain data for the view.

Arithmetic is in `attention_core.lab`.
"""
