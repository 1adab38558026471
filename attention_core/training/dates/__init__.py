"""Dates: an encoder-decoder that reads a date as people write it and writes it as YYYY-MM-DD.

What dates look like, the recipe, the figures and the command; no page.
"""
