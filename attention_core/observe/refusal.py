"""A model that is refused: the error that says why in a plain sentence."""


class ModelError(ValueError):
    """A model could not be loaded; the text is a plain sentence for the person who asked for it."""
