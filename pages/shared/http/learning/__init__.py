"""Lessons over HTTP.

What they ask and how it is marked is `attention_core.lessons`.
"""
