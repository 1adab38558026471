"""Attention itself, and what is computed of its tensors: the formula, masks, positions, metrics.

Tensors only: no text, no model, no file.
"""
