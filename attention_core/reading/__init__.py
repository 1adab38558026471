"""How a record is read: hidden tokens, contributions, flow across layers, what the model says and writes.

Numbers and words; no picture, no pack for a page.
"""
