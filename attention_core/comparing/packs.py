"""What a browser draws of a comparison, as packs: every head by how much it changed, two heads cell by cell."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from attention_core.comparing.alignment import Alignment, Place
from attention_core.comparing.differences import Comparison, Head, Layer, apart
from attention_core.formats import wire
from attention_core.formats.json_data import JsonObject
from attention_core.record.groups import layer_name
from attention_core.text.tokens import JOIN, Token

MOST_PLACES = 512  # rows or columns of a comparison: longer texts are refused with their numbers
THUMBNAIL_SIDE = 32  # cells a side of the small signed pictures
READ, MASKED, NOT_THERE = 0, 1, 2  # what a side's cell is: a weight, forbidden by its mask, no such row or column


def changed_pack(both: Comparison) -> bytes:
    """Every head's A − B as a small picture, and how much each head changed, as one pack.

    Buffers: `changed`, the mean total variation of each head (layer by layer, 0 to 1, NaN where no row has a partner);
    `order`, heads by it, most changed first; `pictures`, s1 differences, the strongest of each block of cells, one
    after the other. All are empty where the two have not the same heads. Header: what the alignment says, notes, why
    there are no same heads, `layers` with each one's name, number of heads and the place of its first picture.

    Raises ValueError for texts of more than `MOST_PLACES` places.
    """
    check_length(both)
    why = both.why_no_same_heads
    layers: list[JsonObject] = []
    changed, pictures, offset = [], [], 0
    for index, layer in enumerate(both.a.layers if not why else ()):
        a, b = both.all_weights(index)
        readable = torch.stack(both.readable(index)).any(dim=0)
        codes = _thumbnails(a - b, readable)
        changed.append(apart(a, b).nanmean(dim=-1).numpy())
        pictures.append(codes.ravel())
        rows, cols = codes.shape[1:]
        facts = {"label": layer_name(both.a, index), "n_heads": layer.n_heads}
        layers.append({**facts, "offset": offset, "rows": rows, "cols": cols})
        offset += codes.size
    every = np.concatenate(changed) if changed else np.zeros(0, dtype=np.float32)
    return wire.pack(
        {**_facts(both), "why": why, "layers": layers},
        changed=every.astype("<f4"),
        order=_first(-every),
        pictures=np.concatenate(pictures) if pictures else np.zeros(0, dtype="|u1"),
    )


def against_pack(both: Comparison, layer: Layer, head: Head) -> bytes:
    """How far each head of B looks from one head of A, as a pack.

    Buffers: `distance`, the mean total variation (layer by layer, 0 to 1; NaN in layers that look at other things) and
    `order`, heads by it, the closest first. Header: `layers` with each one's name and number of heads.
    """
    check_length(both)
    found = both.against(layer, head)
    of_layers = [(one.n_heads, distance) for one, distance in zip(both.b.layers, found, strict=True)]
    distances = [torch.full((n,), math.nan) if distance is None else distance for n, distance in of_layers]
    every = torch.cat(distances).numpy()
    layers = [{"label": layer_name(both.b, i), "n_heads": n} for i, (n, _) in enumerate(of_layers)]
    return wire.pack({"layers": layers}, distance=every.astype("<f4"), order=_first(every))


def cells_pack(both: Comparison, a: tuple[Layer, Head], b: tuple[Layer, Head]) -> bytes:
    """A head of A and one of B on the same rows and columns, as a pack.

    Buffers [row, column]: `a`, `b` and `difference` (A − B), f4 with NaN where there is no number; `of_a` and `of_b`,
    what each side's cell is: 0 a weight, 1 masked, 2 no such row or column. `apart` [row]: total variation, NaN for a
    row that one side has not. Header: `rows` and `columns`, each place with both sides' words and tokens; `top`, the
    largest size of a difference; `mean`, that of `apart`.

    Raises ValueError naming a layer or head that does not exist, or for texts of more than `MOST_PLACES` places.
    """
    check_length(both)
    (layer, head), other = a, b
    ours, theirs = both.weights(layer, head, other=other)
    of_a, of_b = both.readable(layer, other=other[0])
    difference, distance = ours - theirs, apart(ours, theirs)
    rows, columns = both.rows(layer), both.columns(layer)
    both_read = (of_a | of_b) & _there(rows, columns, "a") & _there(rows, columns, "b")
    difference = difference.masked_fill(~both_read, math.nan)
    finite = difference[difference.isfinite()]
    header = {
        **_facts(both),
        "rows": _places(rows, both.a.query_tokens(layer), both.b.query_tokens(other[0])),
        "columns": _places(columns, both.a.key_tokens(layer), both.b.key_tokens(other[0])),
        "top": wire.number(float(finite.abs().max()) if len(finite) else 0.0, 6),
        "mean": wire.number(float(distance.nanmean()), 6),
    }
    return wire.pack(
        header,
        a=ours.masked_fill(~of_a, math.nan).numpy().astype("<f4"),
        b=theirs.masked_fill(~of_b, math.nan).numpy().astype("<f4"),
        difference=difference.numpy().astype("<f4"),
        of_a=_kinds(of_a, _there(rows, columns, "a")),
        of_b=_kinds(of_b, _there(rows, columns, "b")),
        apart=distance.numpy().astype("<f4"),
    )


def check_length(both: Comparison) -> None:
    """Raises ValueError with the numbers for texts that are too long to be compared cell by cell."""
    n = max(len(side.places) for side in (both.source, both.target) if side is not None)
    if n > MOST_PLACES:
        a, b = (max(len(trace.source_tokens), len(trace.target_tokens)) for trace in (both.a, both.b))
        raise ValueError(
            f"Texts of {a:,} and {b:,} tokens make {n:,} rows; up to {MOST_PLACES} can be compared cell by cell"
        )


def _facts(both: Comparison) -> JsonObject:
    return {"says": both.says, "notes": list(both.notes), "by": both.source.by}


def _first(numbers: NDArray[np.float32]) -> NDArray[np.int32]:
    """Their places, smallest first; what is no number comes last, and equal ones in the order of heads."""
    return np.argsort(np.where(np.isnan(numbers), np.inf, numbers), kind="stable").astype("<i4")


def _thumbnails(
    difference: Float[Tensor, "head row column"], readable: Bool[Tensor, "row column"]
) -> NDArray[np.uint8]:
    """The difference of the largest size in each block, as codes; alone where no cell of a block is both's."""
    block = max(1, math.ceil(max(difference.shape[-2:]) / THUMBNAIL_SIDE))
    missing = difference.isnan() | ~readable
    signed = strongest_of_blocks(difference.masked_fill(missing, 0.0), block)
    alone = strongest_of_blocks((~missing).float(), block) == 0
    return wire.encode_s1(signed.numpy(), alone.numpy())


def strongest_of_blocks(
    values: Float[Tensor, "*batch row column"], block: int
) -> Float[Tensor, "*batch block_row block_column"]:
    """The value of the largest size in each block of cells, with its sign; where two are of one size, the larger."""
    if block == 1:
        return values
    *_, n_rows, n_columns = values.shape
    padded = torch.nn.functional.pad(values, (0, -n_columns % block, 0, -n_rows % block))
    blocks = padded.unflatten(-1, (-1, block)).unflatten(-3, (-1, block))
    most, least = blocks.amax(dim=(-3, -1)), blocks.amin(dim=(-3, -1))
    return torch.where(most >= -least, most, least)


def _there(rows: Alignment, columns: Alignment, side: str) -> Bool[Tensor, "row column"]:
    """Where a side has a cell at all."""
    has = [torch.tensor([bool(getattr(place, side)) for place in one.places]) for one in (rows, columns)]
    return has[0][:, None] & has[1]


def _kinds(readable: Bool[Tensor, "row column"], there: Bool[Tensor, "row column"]) -> NDArray[np.uint8]:
    kinds = np.full(tuple(there.shape), NOT_THERE, dtype="|u1")
    kinds[there.numpy()] = MASKED
    kinds[(there & readable).numpy()] = READ
    return kinds


def _places(alignment: Alignment, a: Sequence[Token], b: Sequence[Token]) -> list[JsonObject]:
    return [_place(place, a, b) for place in alignment.places]


def _place(place: Place, a: Sequence[Token], b: Sequence[Token]) -> JsonObject:
    return {
        "a": _shown(place.a, a),
        "b": _shown(place.b, b),
        "i": list(place.a),
        "j": list(place.b),
        "same": place.same,
    }


def _shown(indices: tuple[int, ...], tokens: Sequence[Token]) -> str | None:
    """The word that some tokens make; None where there are none."""
    if not indices:
        return None
    first, *more = (tokens[i].text for i in indices)
    return first + "".join(text.removeprefix(JOIN) for text in more)
