"""Pictures of heads: blocks of cells, the overview, one head, and the files in which they are saved.

What is drawn is read in `reading`; nothing is measured or named here.
"""
