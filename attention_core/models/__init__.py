"""Models: which there are, what a folder holds, what is refused, how one is loaded and placed.

No text is read here, and nothing of a run is kept.
"""
