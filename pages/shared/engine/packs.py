"""Packs and files by name: what a browser fetches of a picture, said in plain words and numbers instead of functions.

A part is a tuple: the name of a pack, then what it is of. `("head", 3, 1)` is head 1 of layer 3.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from attention_core.reading.reading import Reading
    from attention_core.trace import Trace
    from pages.shared.service.sources import Picture

Part = tuple[str | int, ...]
Make = Callable[["Trace", "Reading"], bytes]

Of = Any  # the rest of a picture's name: numbers and words, each as the function that makes the pack takes it


def overview(trace: "Trace", reading: "Reading") -> bytes:
    """The atlas: all heads as small pictures."""
    from attention_core.pictures.overview import overview

    return overview(trace, reading)


def _picture(name: str) -> Callable[..., bytes]:
    def make(trace: "Trace", reading: "Reading", *of: Of) -> bytes:
        from attention_core.pictures import head

        return getattr(head, name)(trace, reading, *of)

    return make


def _ledger(name: str) -> Callable[..., bytes]:
    def make(trace: "Trace", _: "Reading", *of: Of) -> bytes:
        from attention_core.ledger import packs

        return getattr(packs, name)(trace, *of)

    return make


def _ahead(trace: "Trace", _: "Reading", layer: int, head: int, query: int) -> bytes:
    from attention_core.ledger.ahead import ahead_pack

    return ahead_pack(trace, layer, head, query)


def _across(trace: "Trace", _: "Reading", way: str, group: str, query: int, how: str) -> bytes:
    from attention_core.heads.across import flow_pack, rollout_pack

    if way not in ("rollout", "flow") or how not in ("mean", "max"):
        raise ValueError("attention is followed by rollout or flow, over the mean or the max of heads")
    return (rollout_pack if way == "rollout" else flow_pack)(trace, group, query, "mean" if how == "mean" else "max")


def _writes(trace: "Trace", _: "Reading", *of: Of) -> bytes:
    from attention_core.heads.across import writes_pack

    return writes_pack(trace, *of)


def _between(trace: "Trace", reading: "Reading", *of: Of) -> bytes:
    from attention_core.heads.packs import between_pack

    return between_pack(trace, *of, by_norm=reading.by_norm)


def _like(trace: "Trace", reading: "Reading", *of: Of) -> bytes:
    from attention_core.heads.packs import like_pack

    return like_pack(trace, *of, by_norm=reading.by_norm)


TRACE, SCRIPT = "trace.safetensors", "script.py"  # files beside those of one head
HEADS = "heads"  # the pack of every metric: scores have a turn of their own before it
_MAKERS: dict[str, Callable[..., bytes]] = {
    "overview": overview,
    "head": _picture("head_pack"),
    "line": _picture("line_pack"),
    "tile": _picture("tile_pack"),
    "ledger": _ledger("ledger_pack"),
    "rows": _ledger("rows_pack"),
    "products": _ledger("products_pack"),
    "matrix": _ledger("matrix_pack"),
    "ahead": _ahead,
    "between": _between,
    "like": _like,
    "across": _across,
    "writes": _writes,
}


def maker(part: Part) -> Make:
    """What makes a part of a picture. Raises ValueError for a name that no pack has."""
    name, *of = part
    make = _MAKERS.get(str(name))
    if make is None:
        raise ValueError(f"there is no pack {name!r}; there are {', '.join(_MAKERS)}")
    return lambda trace, reading: make(trace, reading, *of)


Fixed = tuple[tuple[int, int], ...]  # tokens of A and of B that belong together, whatever the alignment finds


def pair_maker(part: Part, fixed: Fixed) -> "Callable[[Trace, Trace], bytes]":
    """What makes a pack of two traces. Raises ValueError for a name that no such pack has."""
    from attention_core.comparing import packs
    from attention_core.comparing.differences import compare

    name, *of = part
    if name == "cells":
        layer, head, other, theirs = of
        return lambda a, b: packs.cells_pack(compare(a, b, fixed=fixed), (layer, head), (other, theirs))
    if name not in ("changed", "against"):
        raise ValueError(f"there is no pack {name!r} of two traces; there are changed, against, cells")
    make: Callable[..., bytes] = packs.changed_pack if name == "changed" else packs.against_pack
    return lambda a, b: make(compare(a, b, fixed=fixed), *of)


class FileBytes(Protocol):
    """A finished file on the disk, without a name; its bytes are there as long as this is."""

    @property
    def nbytes(self) -> int:
        """How long it is."""
        ...

    def fileno(self) -> int:
        """Its descriptor, to be handed to another process."""
        ...

    def read(self, start: int, n: int, /) -> bytes:
        """At most `n` bytes from `start` on; safe from any thread."""
        ...


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file to save, its type and its name."""

    file: FileBytes
    media_type: str
    name: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which file of a picture is asked for: an SVG, CSV or NPZ by its name, the trace or the script."""

    name: str
    layer: int | str = 0
    head: int | str = 0
    query: int | None = None
    per_head_scale: bool = False
    pin: tuple[int | None, int | None] = (None, None)  # query and key token that a picture frames


Content = str | bytes | Iterator[str]  # of a file: whole, or part by part


def recipe(picture: "Picture", wanted: Wanted) -> "tuple[Callable[[Trace, Reading], Content], str, str]":
    """What makes a file, its type and its name. Raises ValueError for a name that no file has."""
    from attention_core.pictures.heatmap_svg import TRACE_FILE

    if wanted.name == TRACE:
        return _trace, "application/octet-stream", TRACE_FILE
    if wanted.name == SCRIPT:
        return lambda trace, _: _script(trace, picture, wanted), "text/x-python", "sightline-view.py"
    from attention_core.pictures.files import EXPORTS, svg

    if wanted.name not in EXPORTS:
        raise ValueError(f"there is no download {wanted.name!r}")
    media_type, make = EXPORTS[wanted.name]
    if make is svg:
        make = partial(svg, per_head_scale=wanted.per_head_scale, pin=wanted.pin)
    name = f"sightline-layer{wanted.layer}-head{wanted.head}-{wanted.name}".replace(":", "-")
    return lambda trace, reading: make(trace, reading, wanted.layer, wanted.head), media_type, name


def _trace(trace: "Trace", _: "Reading") -> bytes:
    from attention_core.record.file import MOST_MAPS, maps_bytes, trace_bytes

    # What it proves, its header says.
    return trace_bytes(trace, projections=maps_bytes(trace) <= MOST_MAPS)


def _script(trace: "Trace", picture: "Picture", wanted: Wanted) -> str:
    from attention_core.pictures.heatmap_svg import TRACE_FILE
    from attention_core.pictures.script import script

    source = picture.source
    return script(
        source.model,
        source.text,
        given={
            "pair": trace.pair or "",  # as far as the model reads them
            "target": trace.target or "",
            "source_language": source.source_language,
            "target_language": source.target_language,
            "chat": source.chat,
        },
        layer=wanted.layer,
        head=wanted.head,
        query=wanted.query,
        reading=picture.reading(),
        file=TRACE_FILE if source.file else None,
        edits=trace.edits,
    )
