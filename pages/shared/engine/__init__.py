"""Who computes: one seam between the pages and the models, and the engines behind it.

A page or a route asks `engine()` with plain data and gets plain data: no tensor, no model and no function crosses here.
"""
