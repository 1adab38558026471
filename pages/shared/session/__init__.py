"""What one visitor is looking at, kept in one place and mirrored in the address; which address is
news; which pages there are.

Nothing large, and nothing is drawn.
"""
