"""Training small causal models, and the Storyteller's recipe.

General parts are in `loop`; what the page *Grow a head* shows is in `grow`.
"""
