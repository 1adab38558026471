"""Tests of the server: its service, routes, caches, process and settings.

Nothing is drawn here.
"""
