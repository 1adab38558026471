"""Grow a head on this server: recorded runs, visitors' trainings, both as packs and plain data.

Training itself is in `attention_core.grow`.
"""
