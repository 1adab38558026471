"""Compare in a real browser: both sides, what is said of them, links, the way there."""
