"""Heads of A and of B: whether they are the same ones, and which of B's looks most like one of A's."""

import gzip

from attention_core.formats import wire
from pages.shared.engine.choosing import engine
from pages.shared.engine.packs import Fixed
from pages.shared.engine.plain import TraceSummary
from pages.shared.service.sources import Picture


def shapes(trace: TraceSummary) -> list[tuple[str, int]]:
    """What each layer looks at, and how many heads it has."""
    return [(layer.kind.split()[-1], layer.n_heads) for layer in trace.layers]


def closest(a: Picture, b: Picture, layer: int, head: int | str, fixed: Fixed) -> tuple[int, int]:
    """Layer and head of B that look most like one of A. Raises ValueError where the two cannot be compared."""
    header, arrays = wire.unpack(gzip.decompress(engine().compare(a, b, ("against", layer, head), fixed)))
    found = int(arrays["order"][0])
    for index, one in enumerate(header["layers"]):
        if found < one["n_heads"]:
            return index, found
        found -= one["n_heads"]
    raise ValueError("B has no head")
