"""The Lab: attention on numbers that are typed, as a state that is run, edited, explained, linked and saved.

Typed numbers only; a real head comes in as a record, in `seed`.
"""
