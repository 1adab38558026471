"""What the explorer draws of one head: its picture with its numbers, one line of it, one tile.

A picture is made block of rows by block of rows, so the memory it takes is linear in the text. What goes to the browser
is a `wire` pack; its header is described in the function that makes it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.formats import wire
from attention_core.formats.json_data import JsonObject
from attention_core.formats.shown import short_repr
from attention_core.formula.metrics import Link, entropy, reach, strongest
from attention_core.pictures.blocks import block_max, block_side
from attention_core.reading.contribution import contribution_shares
from attention_core.reading.reading import Item, Reading, hidden_share, items, read_allowed, read_weights
from attention_core.record.groups import HeadName, LayerName, groups, rows_per_block, spans
from attention_core.record.layers import AttentionLayer, LayerTrace
from attention_core.record.proof import largest_difference
from attention_core.record.record import Record
from attention_core.record.verdict import reserved, verdict_of
from attention_core.text.tokens import Token, second_sentence

EXACT_CELLS = 64 * 64  # up to here a chosen head is sent in float32, with its scores
PICTURE_SIDE = 512  # cells a side of a chosen head's picture; larger ones as block maxima, exact tiles on demand
TILE_SIDE = 256
N_STRONGEST = 12


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some rows of a picture, of one or several heads."""

    start: int  # first row
    weights: Float[Tensor, "head row column"]
    allowed: Bool[Tensor, "row column"] | None  # None: every cell may be read
    hidden: Float[Tensor, "head row"]  # share of each row's attention that went to hidden keys

    __repr__ = short_repr


def rows_and_columns(trace: Record, reading: Reading, layer: int) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """The queries and the keys that a picture of this layer shows."""
    queries, keys = trace.query_tokens(layer), trace.key_tokens(layer)
    return shown_of(trace, queries, reading), shown_of(trace, keys, reading)


def second_begins(trace: Record) -> int | None:
    """Index of the source token with which a pair's second sentence begins; None where there is no pair."""
    second = second_sentence(trace.source_tokens) if trace.pair else []
    return second[0] if second else None


def place_of(shown: Sequence[Item], token: int | None) -> int | None:
    """Where a token (its index) stands among what a picture shows; None if it is hidden, or if there is none."""
    return next((place for place, item in enumerate(shown) if token in item.pieces), None)


def shown_of(trace: Record, tokens: tuple[Token, ...], reading: Reading) -> tuple[Item, ...]:
    """`items` of one side of the trace; made once, since every layer and head asks for the same."""
    key = (tokens is trace.target_tokens, reading.hide_special, reading.hide_first, reading.words)
    if key not in trace.read:
        trace.read[key] = items(tokens, reading)
    return trace.read[key]


def weights_of(
    trace: Record, reading: Reading, layer: LayerName, head: HeadName
) -> tuple[Float[Tensor, "row column"], Bool[Tensor, "row column"] | None]:
    """One whole picture: weights, and what may be read (None: everything). Takes rows · columns memory."""
    blocks = list(picture_blocks(trace, reading, layer, head))
    allowed = (
        None
        if blocks[0].allowed is None
        else torch.cat([block.allowed for block in blocks if block.allowed is not None])
    )
    return torch.cat([block.weights[0] for block in blocks]), allowed


def picture_blocks(
    trace: Record, reading: Reading, layer: LayerName, head: HeadName, multiple: int = 1
) -> Iterator[Block]:
    """One picture in blocks of rows, each (but the last) a multiple of `multiple` rows; the head axis has length 1.

    Raises ValueError naming a layer or head that does not exist.
    """
    layers = layers_shown(trace, layer, head)
    queries, keys = rows_and_columns(trace, reading, layers[0])
    n_heads = 1 if isinstance(head, int) else trace.layers[layers[0]].n_heads
    for start, stop in spans(len(queries), rows_per_block(trace.layers[layers[0]], n_heads, multiple)):
        yield _combined(trace, reading, layers, head, queries[start:stop], keys, start)


def head_pack(trace: Record, reading: Reading, layer: LayerName, head: HeadName) -> bytes:
    """One picture with its numbers, as a pack.

    Buffers: `weights` and, where it has scores, `scores` (q·k) in float32 for small pictures; else `picture`, u2 block
    maxima with `factor` tokens a block. Header: strongest links, mean entropy (bits) and reach (tokens), range of row
    sums, what went to hidden keys, the proof with its verdict (null for a mean or maximum, which is not one head's:
    `reserved` says what stands there of the loading's reservations), and what the layer has beyond the plain formula.
    """
    layers = layers_shown(trace, layer, head)
    queries, keys = rows_and_columns(trace, reading, layers[0])
    exact = len(queries) * len(keys) <= EXACT_CELLS
    factor = 1 if exact else block_side(max(len(queries), len(keys)), PICTURE_SIDE)
    positions = positions_of(queries), positions_of(keys)
    codes, exact_rows, links, spreads, reaches, sums, hidden = [], [], [], [], [], [], []
    for block in picture_blocks(trace, reading, layer, head, factor):
        weights, allowed = block.weights[0], block.allowed
        rows = slice(block.start, block.start + len(weights))
        if exact:
            exact_rows.append(weights if allowed is None else weights.masked_fill(~allowed, float("nan")))
        else:
            small = block_max(weights, factor, allowed)
            codes.append(wire.encode_u2(small.values.numpy(), None if small.masked is None else small.masked.numpy()))
        links += [
            Link(link.query + block.start, link.key, link.weight) for link in strongest(weights, N_STRONGEST, allowed)
        ]
        spreads.append(entropy(weights))
        reaches.append(reach(weights, positions[0][rows], positions[1]))
        sums.append(weights.sum(dim=-1))
        hidden.append(block.hidden[0])
    row_sums = torch.cat(sums)
    header: JsonObject = {
        "layer": layer,
        "head": head,
        "n_query": len(queries),
        "n_key": len(keys),
        "factor": factor,
        "strongest": [
            {"q": link.query, "k": link.key, "w": link.weight}
            for link in sorted(links, key=lambda link: -link.weight)[:N_STRONGEST]
        ],
        "entropy": json_number(torch.cat(spreads).nanmean()),
        "reach": json_number(torch.cat(reaches).nanmean()),
        "rowsum": [
            json_number(row_sums.nan_to_num(torch.inf).min()),
            json_number(row_sums.nan_to_num(-torch.inf).max()),
        ],
        "hidden": [round(share, 4) for share in torch.cat(hidden).tolist()] if reading.hides else None,
        "proof": _proof(trace, layer, head),
        "reserved": reserved(trace),
        "reservations": list(trace.beside),
        "terms": list(getattr(trace.layers[layers[0]], "terms", ())) if len(layers) == 1 else [],
    }
    if not exact:
        return wire.pack(header, picture=np.concatenate(codes))
    buffers = {"weights": torch.cat(exact_rows).numpy()}
    if scored := _scored(trace, reading, layer, head):
        one, index = scored
        buffers["scores"] = one.steps(index).scores[_indices(queries)][:, _indices(keys)].cpu().numpy()
    return wire.pack(header, **buffers)


def line_pack(
    trace: Record, reading: Reading, layer: LayerName, head: HeadName, axis: Literal["query", "key"], index: int
) -> bytes:
    """One row (what a query looks at) or column (what looks at a key), exact, as a pack with `weights` and `scores`."""
    if axis not in ("query", "key"):
        raise ValueError(f'a line is that of a "query" or of a "key"; got {axis!r}')
    layers = layers_shown(trace, layer, head)
    queries, keys = rows_and_columns(trace, reading, layers[0])
    if not 0 <= index < len(queries if axis == "query" else keys):
        raise ValueError(f"there is no {axis} {index}")
    if axis == "query":
        block = _combined(trace, reading, layers, head, queries[index : index + 1], keys, index)
        weights, allowed = block.weights[0, 0], None if block.allowed is None else block.allowed[0]
    else:
        blocks = list(picture_blocks(trace, reading, layer, head))
        weights = torch.cat([block.weights[0, :, index] for block in blocks])
        columns = [block.allowed[:, index] for block in blocks if block.allowed is not None]
        allowed = torch.cat(columns) if columns else None
    buffers = {"weights": (weights if allowed is None else weights.masked_fill(~allowed, float("nan"))).numpy()}
    if scored := _scored(trace, reading, layer, head):
        one, of = scored
        q, k = one.q[of].float(), one.k[one.kv_head(of)].float()
        if axis == "query":
            scores = (k @ q[queries[index].pieces[0]])[_indices(keys)]
        else:
            scores = (q @ k[keys[index].pieces[0]])[_indices(queries)]
        buffers["scores"] = scores.cpu().numpy()
    return wire.pack({"axis": axis, "index": index}, **buffers)


def tile_pack(trace: Record, reading: Reading, layer: LayerName, head: HeadName, row0: int, col0: int) -> bytes:
    """The exact cells from (row0, col0), at most TILE_SIDE a side, as a pack with `picture` (u2)."""
    layers = layers_shown(trace, layer, head)
    queries, keys = rows_and_columns(trace, reading, layers[0])
    if not (0 <= row0 < len(queries) and 0 <= col0 < len(keys)):
        raise ValueError(f"the picture has {len(queries)} × {len(keys)} cells; there is no cell ({row0}, {col0})")
    block = _combined(trace, reading, layers, head, queries[row0 : row0 + TILE_SIDE], keys, row0)
    columns = slice(col0, col0 + TILE_SIDE)
    masked = None if block.allowed is None else ~block.allowed[:, columns].numpy()
    return wire.pack({"row0": row0, "col0": col0}, picture=wire.encode_u2(block.weights[0, :, columns].numpy(), masked))


def _combined(
    trace: Record,
    reading: Reading,
    layers: Sequence[int],
    head: HeadName,
    queries: Sequence[Item],
    keys: Sequence[Item],
    start: int,
) -> Block:
    """Rows of one head, or of the mean or maximum over the heads of some layers."""
    if isinstance(head, int):
        return heads_block(trace.layers[layers[0]], queries, keys, reading, start, head)
    combined: Block | None = None
    n_heads = 0
    for index in layers:
        block = heads_block(trace.layers[index], queries, keys, reading, start)
        n_heads += block.weights.shape[0]
        if head == "mean":
            weights, hidden = block.weights.sum(dim=0, keepdim=True), block.hidden.sum(dim=0, keepdim=True)
        else:
            weights, hidden = block.weights.amax(dim=0, keepdim=True), block.hidden.amax(dim=0, keepdim=True)
        if combined is None:
            combined = Block(start, weights, block.allowed, hidden)
            continue
        join = torch.add if head == "mean" else torch.maximum
        either = None if combined.allowed is None or block.allowed is None else combined.allowed | block.allowed
        combined = Block(start, join(combined.weights, weights), either, join(combined.hidden, hidden))
    if combined is None:
        raise ValueError("there is no layer to combine")
    if head == "max":
        return combined
    return Block(start, combined.weights / n_heads, combined.allowed, combined.hidden / n_heads)


def heads_block(
    layer: AttentionLayer,
    queries: Sequence[Item],
    keys: Sequence[Item],
    reading: Reading,
    start: int,
    head: int | None = None,
) -> Block:
    """Rows of one head or of all heads of a layer, read as asked.

    Raises ValueError for a layer without contributions, if those are what is asked for.
    """
    first = queries[0].pieces[0]
    rows = slice(first, queries[-1].pieces[-1] + 1)
    # The model's tensors may be on a GPU; a picture is made on the processor, a block at a time.
    n_rows = rows.stop - rows.start
    if head is None:
        weights = layer.all_weights(rows).cpu()
    elif n_rows * layer.n_key <= EXACT_CELLS:
        weights = layer.weights(head, rows)[None].cpu()  # these very numbers are shown, and followed step by step
    else:
        n_keys = layer.keys_seen(rows)
        seen = layer.block_weights(slice(head, head + 1), rows, n_keys).cpu()
        weights = torch.nn.functional.pad(seen, (0, layer.n_key - n_keys))
    if reading.by_norm:
        weights = contribution_shares(layer, weights, slice(None) if head is None else slice(head, head + 1))
    here = [Item(item.text, tuple(piece - first for piece in item.pieces), item.special) for item in queries]
    allowed = layer.allowed(head, rows)
    allowed = None if allowed is None else allowed.cpu()
    return Block(
        start,
        read_weights(weights, here, keys, renormalise=reading.renormalise),
        read_allowed(allowed, here, keys),
        hidden_share(weights, here, keys) if reading.hides else weights.new_zeros(weights.shape[0], len(here)),
    )


def layers_shown(trace: Record, layer: LayerName, head: HeadName) -> tuple[int, ...]:
    """The layers a picture is made of; ValueError names what does not exist."""
    if isinstance(layer, str):
        found = next((group.layers for group in groups(trace) if group.name == layer), None)
        if found is None or head not in ("mean", "max"):
            raise ValueError(f"there is no picture {layer!r}, {head!r}")
        return found
    if not 0 <= layer < len(trace.layers):
        raise ValueError(f"layer must be 0 … {len(trace.layers) - 1}; got {layer}")
    n_heads = trace.layers[layer].n_heads
    if head not in ("mean", "max") and not (isinstance(head, int) and 0 <= head < n_heads):
        raise ValueError(f'head must be 0 … {n_heads - 1}, "mean" or "max"; got {head!r}')
    return (layer,)


def _proof(trace: Record, layer: LayerName, head: HeadName) -> JsonObject | None:
    if not (isinstance(layer, int) and isinstance(head, int)):
        return None
    verdict = verdict_of(trace, layer, head)
    checks = verdict.checks
    return {
        **verdict.as_json(),
        "holds": all(check.holds for check in checks),
        "worst": json_number(torch.tensor(largest_difference(checks)), digits=12),
        "checks": [
            {
                "name": check.name,
                "difference": json_number(torch.tensor(check.difference), digits=12),
                "tolerance": check.tolerance,
                "holds": check.holds,
                "reason": check.reason,
            }
            for check in checks
        ],
    }


def _scored(trace: Record, reading: Reading, layer: LayerName, head: HeadName) -> tuple[LayerTrace, int] | None:
    """The layer and head whose q·k the cells have: one head of a layer with known q and k, read piece by piece."""
    if not isinstance(layer, int) or not isinstance(head, int) or reading.words:
        return None
    found = trace.layers[layer]
    return (found, head) if isinstance(found, LayerTrace) else None


def positions_of(shown: Sequence[Item]) -> Float[Tensor, " item"]:
    """Where items stand in the text, in tokens; a word stands at the mean of its pieces."""
    return torch.tensor([sum(item.pieces) / len(item.pieces) for item in shown])


def _indices(shown: Sequence[Item]) -> list[int]:
    return [item.pieces[0] for item in shown]


def json_number(value: Float[Tensor, ""], digits: int = 4) -> float | None:
    """A number for JSON, which has no NaN."""
    return wire.number(float(value), digits)
