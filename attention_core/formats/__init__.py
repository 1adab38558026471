"""Formats that the other packages share: binary packs, typed fields of an address, JSON that nobody vouches for and
the dataclasses that it stands for, colours, text in SVG, and the error when memory runs out.

Nothing here knows what the numbers mean.
"""
