"""Training small transformers, and the recipes of the models that come with Sightline.

General parts are in `loop` and `checkpoints`; what the page *Grow a head* shows is in `grow`.
"""
