"""What heads do: metrics, search, labels and their evidence, across layers, and their packs for the page.

One text or a fixed set of probes; a corpus is the survey's.
"""
