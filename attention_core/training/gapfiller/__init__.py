"""Gapfiller: a masked model on tales, with the Storyteller's tokens.

The recipe, the figures and the command; no page.
"""
