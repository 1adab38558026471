"""The model's own eager function on what was captured: an independent source for the weights."""
