"""Changing a real model's run and measuring what that does: edits as data, where they are made, effects with a control.

Nothing here knows a page, and nothing is changed on a model: every edit lives in the run that it was asked for.
"""
