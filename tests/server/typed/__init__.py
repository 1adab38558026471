"""What is asked while a text is still being typed.

Bounds and answers of the route; what the browser makes of it is in tests/js/explore.
"""
