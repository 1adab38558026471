"""One text through one model: encoded, observed while it runs, and recorded.

Returns a record; how it is read and drawn is decided in the rows below.
"""
