"""How a record is read: hidden tokens, contributions, flow across layers, what the model says and writes.

Numbers and words; no picture, no pack for a page.
"""

from importlib import import_module

# Names that README and downloaded scripts import from here; for one release, then they are imported from their modules.
_HOME = {
    "Item": "reading",
    "Reading": "reading",
    "describe": "reading",
    "hidden_share": "reading",
    "items": "reading",
    "over_heads": "reading",
    "read_allowed": "reading",
    "read_weights": "reading",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
