"""Which layers and heads are meant: one rule for every door of a trace.

    0, 5                    counted in call order, from the start
    -1                      … or from the end
    "cross 1"               by kind, counted within it; also as a layer is labelled, "cross layer 1"
    1, kind="cross"         the same
    slice(0, 3), [0, 2]     several: their axis stays, as in an array; None means all
    "mean", "max"           several, as one: their axis goes

Layers that are taken together must be of one kind: their rows and columns are the same tokens.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, Literal, SupportsIndex, get_args

from attention_core.record.layers import AttentionLayer, Kind

Combine = Literal["mean", "max"]
LayerChoice = SupportsIndex | str | slice | Sequence[int] | None
HeadChoice = SupportsIndex | Combine | slice | Sequence[int] | None

_SHORT: dict[str, Kind] = {"encoder": "encoder self", "decoder": "decoder self"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Some layers or heads, and what becomes of their axis."""

    indices: tuple[int, ...]
    how: Literal["one", "each", "mean", "max"]


def layer_at(layers: Sequence[AttentionLayer], choice: SupportsIndex | str, kind: str | None = None) -> int:
    """The place of one layer among `layers`. Raises ValueError that names what there is."""
    if isinstance(choice, str):
        return _named(layers, choice, kind)
    within = of_kind(layers, kind)
    place = _integer(choice, "layer")
    if not -len(within) <= place < len(within):
        which = "layer" if kind is None else f"layer of kind {kind!r}"
        raise ValueError(f"{which} must be 0 … {len(within) - 1}; got {place}{_from_the_end(place)}")
    return within[place]


def layers_at(layers: Sequence[AttentionLayer], choice: LayerChoice, kind: str | None = None) -> Chosen:
    """The places of some layers among `layers`.

    Raises ValueError that names what there is, or for layers of several kinds.
    """
    if not _is_several(choice):
        return Chosen((layer_at(layers, choice, kind),), "one")  # pyright: ignore[reportArgumentType]
    within = of_kind(layers, kind)
    how = "each"
    if isinstance(choice, str) and choice.startswith("all:"):
        raise ValueError(
            f'{choice!r} is a name of pictures; here layer="mean" or "max" with kind="cross" says the same'
        )
    if choice in ("mean", "max"):
        how, found = choice, within
    elif choice is None:
        found = within
    elif isinstance(choice, slice):
        found = within[choice]
    else:
        found = tuple(layer_at(layers, one, kind) for one in choice)  # pyright: ignore[reportGeneralTypeIssues]
    if not found:
        raise ValueError(f"{choice!r} picks no layer of {len(within)}")
    if len({layers[place].kind for place in found}) > 1:
        raise ValueError(f"layers of one kind go together: name one, {_kinds(layers)}")
    return Chosen(found, how)  # pyright: ignore[reportArgumentType]


def head_at(n_heads: int, choice: object, layer: int | None = None) -> int:
    """One head. Raises ValueError that names what there is."""
    where = "" if layer is None else f" in layer {layer}"
    if isinstance(choice, str):
        raise ValueError(f'head must be 0 … {n_heads - 1}{where}; got {choice!r}. "mean" and "max" are not one head')
    place = _integer(choice, "head")
    if not -n_heads <= place < n_heads:
        raise ValueError(f"head must be 0 … {n_heads - 1}{where}; got {place}{_from_the_end(place)}")
    return place % n_heads


def heads_at(n_heads: int, choice: HeadChoice, layer: int | None = None) -> Chosen:
    """Some heads of a layer. Raises ValueError that names what there is."""
    if choice in ("mean", "max"):
        return Chosen(tuple(range(n_heads)), choice)  # pyright: ignore[reportArgumentType]
    if isinstance(choice, str):
        where = "" if layer is None else f" in layer {layer}"
        raise ValueError(f'head must be 0 … {n_heads - 1}{where}, "mean" or "max"; got {choice!r}')
    if not _is_several(choice):
        return Chosen((head_at(n_heads, choice, layer),), "one")
    if choice is None or isinstance(choice, slice):
        found = tuple(range(n_heads))[choice or slice(None)]
    else:
        found = tuple(head_at(n_heads, one, layer) for one in choice)  # pyright: ignore[reportGeneralTypeIssues]
    if not found:
        raise ValueError(f"{choice!r} picks no head of {n_heads}")
    return Chosen(found, "each")


def of_kind(layers: Sequence[AttentionLayer], kind: str | None) -> tuple[int, ...]:
    """The places of the layers of a kind; of all layers for None. Raises ValueError if there are none."""
    if kind is None:
        return tuple(range(len(layers)))
    there = {layer.kind for layer in layers}
    asked = _SHORT.get(kind, kind)
    if kind == "self" and len(there - {"cross"}) == 1:
        (asked,) = there - {"cross"}
    if asked not in there:
        raise ValueError(f"there are no layers of kind {kind!r} here: there is {_kinds(layers)}")
    return tuple(place for place, layer in enumerate(layers) if layer.kind == asked)


def _is_several(choice: object) -> bool:
    if isinstance(choice, str):
        return choice in ("mean", "max") or choice.startswith("all:")
    return choice is None or isinstance(choice, slice) or (isinstance(choice, Iterable) and not _is_index(choice))


# Whatever stands for a layer or a head, of whatever library: `index` says whether it is a whole number.
def _is_index(choice: Any) -> bool:
    try:
        index(choice)
    except TypeError:
        return False
    return True


# As above.
def _integer(choice: Any, what: str) -> int:
    """A place, whatever kind of whole number it is. Raises ValueError for anything else."""
    if not _is_index(choice):
        raise ValueError(f"a {what} is a whole number; got {choice!r}")
    return index(choice)


def _named(layers: Sequence[AttentionLayer], name: str, kind: str | None) -> int:
    found = re.fullmatch(r"(.+?)(?: layer)? (-?\d+)", name.strip())
    if kind is not None or found is None or (found[1] not in _SHORT and found[1] not in (*get_args(Kind), "self")):
        raise ValueError(f'there is no layer {name!r}: a layer is a number, or a kind and a number, as in "cross 1"')
    return layer_at(layers, int(found[2]), found[1])


def _kinds(layers: Iterable[AttentionLayer]) -> str:
    counts: dict[str, int] = {}
    for layer in layers:
        counts[layer.kind] = counts.get(layer.kind, 0) + 1
    said = [f'kind="{kind}" ({n} layer{"s" * (n != 1)})' for kind, n in counts.items()]
    return " or ".join(said)


def _from_the_end(place: int) -> str:
    return " (-1 is the last)" if place < 0 else ""
