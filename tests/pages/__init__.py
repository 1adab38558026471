"""Tests of the pages, opened through app.py without a browser.

What needs a browser is in tests/browser.
"""
