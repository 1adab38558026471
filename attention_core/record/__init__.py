"""What a capture holds, as plain data: layers, tokens, linear maps, norms, the ending; its proof, its file.

Nothing here runs a model, and nothing here knows the doors of `Trace`.
"""
