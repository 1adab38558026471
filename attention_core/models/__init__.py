"""Models: which there are, what a folder holds, what is refused, how one is loaded and placed.

No text is read here, and nothing of a run is kept.
"""

from importlib import import_module

# Names that README and downloaded scripts import from here; for one release, then they are imported from their modules.
_HOME = {
    "LoadedModel": "facts",
    "Located": "locating",
    "ModelError": "loading",
    "ModelFacts": "facts",
    "Placement": "placement",
    "Precision": "placement",
    "build": "loading",
    "load_model": "loading",
    "locate": "locating",
    "wrap_model": "loading",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
