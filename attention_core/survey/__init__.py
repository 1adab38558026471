"""Metrics and labels over a corpus, and the table of the result.

It measures with `heads`; no metric is defined here.
"""
