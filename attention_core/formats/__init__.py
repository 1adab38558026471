"""Forms that bytes take on their way: packs, fields of an address, JSON from strangers and the dataclasses that it
stands for, colours, text in SVG, running out of memory.

Nothing here knows what the numbers mean.
"""
