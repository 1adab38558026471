"""What one visitor is looking at, kept in one place and mirrored in the address; which address was opened by the
visitor; the list of pages.

Nothing large, and nothing is drawn.
"""
