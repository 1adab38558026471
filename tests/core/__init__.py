"""Tests of attention_core, in folders like its packages.

What needs a page or a browser is elsewhere.
"""
