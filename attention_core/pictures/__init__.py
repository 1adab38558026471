"""Pictures of heads: blocks of cells, the atlas, one head, and the files in which they are saved.

What is drawn is read in `reading`; nothing is measured or named here.
"""

from importlib import import_module

# Names that README and downloaded scripts import from here; for one release, then they are imported from their modules.
_HOME = {
    "Block": "attention_core.pictures.head",
    "Group": "attention_core.record.groups",
    "groups": "attention_core.record.groups",
    "head_pack": "attention_core.pictures.head",
    "line_pack": "attention_core.pictures.head",
    "picture_blocks": "attention_core.pictures.head",
    "rows_and_columns": "attention_core.pictures.head",
    "shown_of": "attention_core.pictures.head",
    "tile_pack": "attention_core.pictures.head",
    "weights_of": "attention_core.pictures.head",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
