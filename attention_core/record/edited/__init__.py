"""What a capture holds of layers that were edited while the model ran.

How they are edited is in `experiment`; here is what is kept of them, and that nothing is proven.
"""
