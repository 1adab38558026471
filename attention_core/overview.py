"""Every head at a glance, with the mean and the maximum over heads, as one pack for the browser."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from attention_core import wire
from attention_core.atlas import block_max, block_side, thumbnail_side
from attention_core.metrics import entropy, reach
from attention_core.pictures import (
    Block,
    Group,
    LayerName,
    groups,
    heads_block,
    json_number,
    positions_of,
    rows_and_columns,
    rows_per_block,
    spans,
)
from attention_core.reading import Item, Reading, describe, items
from attention_core.trace import Trace

WHOLE_BYTES = 2_400_000  # all heads are sent whole, 2 bytes a weight, while they fit: 72 heads of 128 tokens do
OVERVIEW_BYTES = 300_000  # otherwise block maxima of all heads, 1 byte each: 72 heads of 64 × 64
AGGREGATE_SIDE = 32  # cells a side of the small pictures of mean and maximum


def overview(trace: Trace, reading: Reading) -> bytes:
    """Every head's picture, with the means and maxima over heads, as one pack.

    Buffers: `heads`, the pictures one after the other (layer, head, row, column): whole as u2 if they fit WHOLE_BYTES,
    else block maxima as u1; `aggregates`, small u1 pictures. The header holds tokens, layers with the place of their
    first picture, and each head's entropy (bits), reach (tokens) and largest weight.
    """
    shapes = [tuple(map(len, rows_and_columns(trace, reading, i))) for i in range(len(trace.layers))]
    n_heads = sum(layer.n_heads for layer in trace.layers)
    whole = 2 * sum(layer.n_heads * n * m for layer, (n, m) in zip(trace.layers, shapes, strict=True)) <= WHOLE_BYTES
    side = max(max(shape) for shape in shapes) if whole else thumbnail_side(n_heads, OVERVIEW_BYTES)

    drawn: dict[int, _Layer] = {}
    aggregates = _Aggregates()
    for group in groups(trace):
        of_group, mean, top = _draw(trace, reading, group, side, whole)
        for index, layer in of_group.items():
            aggregates.add(index, "mean", layer.mean)
            aggregates.add(index, "max", layer.top)
        aggregates.add(group.name, "mean", mean)
        aggregates.add(group.name, "max", top)
        drawn |= of_group

    layers: list[dict[str, Any]] = []
    pictures: list[NDArray[Any]] = []
    offset = 0
    for index in range(len(trace.layers)):
        codes = np.concatenate(drawn[index].codes, axis=1)
        layers.append({**_facts(trace, index), "offset": offset, "rows": codes.shape[1], "cols": codes.shape[2]})
        pictures.append(codes.ravel())
        offset += codes.size
    numbers = [drawn[index].numbers() for index in range(len(trace.layers))]
    header = {
        "version": 1,
        "model": {"id": trace.facts.id, "name": trace.facts.name},
        "note": [*trace.notes, *_hidden_inputs(trace), *describe(reading)],
        "tokens": {
            "source": _shown(items(trace.source_tokens, reading)),
            "target": _shown(items(trace.target_tokens, reading)) if trace.target_tokens else [],
        },
        "layers": layers,
        "full": whole,
        "summary": {name: [of_layer[name] for of_layer in numbers] for name in ("entropy", "reach", "peak")},
        "aggregates": aggregates.header,
    }
    return wire.pack(header, heads=np.concatenate(pictures), aggregates=aggregates.codes())


@dataclass(slots=True)
class _Layer:
    """What has been drawn of one layer, block of rows after block of rows."""

    codes: list[NDArray[Any]] = field(default_factory=list)  # [head, row, column]
    mean: list[NDArray[Any]] = field(default_factory=list)
    top: list[NDArray[Any]] = field(default_factory=list)
    spreads: list[Tensor] = field(default_factory=list)  # [head, row]
    reaches: list[Tensor] = field(default_factory=list)
    peaks: list[Tensor] = field(default_factory=list)  # [head]

    def numbers(self) -> dict[str, list[float | None]]:
        """Per head: mean entropy (bits), mean reach (tokens), largest weight."""
        means = {
            "entropy": torch.cat(self.spreads, dim=-1).nanmean(dim=-1),
            "reach": torch.cat(self.reaches, dim=-1).nanmean(dim=-1),
            "peak": torch.stack(self.peaks).amax(dim=0),
        }
        return {name: [json_number(value) for value in values] for name, values in means.items()}


def _draw(
    trace: Trace, reading: Reading, group: Group, side: int, whole: bool
) -> tuple[dict[int, _Layer], list[NDArray[Any]], list[NDArray[Any]]]:
    """The layers of a group, and the mean and maximum over all of their heads.

    All layers are drawn for one block of rows before the next begins: what is summed over layers is then one block and
    not the whole matrix, so memory stays linear in the text.
    """
    queries, keys = rows_and_columns(trace, reading, group.layers[0])
    longest = max(len(queries), len(keys))
    factor = 1 if whole else block_side(longest, side)
    small = block_side(longest, AGGREGATE_SIDE)
    encode = wire.encode_u2 if whole else wire.encode_u1
    query_positions, key_positions = positions_of(queries), positions_of(keys)
    # Rows a block: a multiple of both block sizes, so that no block of cells is cut in two.
    multiple = int(np.lcm(factor, small))
    rows = min(rows_per_block(trace.layers[i], trace.layers[i].n_heads, multiple) for i in group.layers)
    n_heads = sum(trace.layers[i].n_heads for i in group.layers)

    drawn = {index: _Layer() for index in group.layers}
    means, tops = [], []
    for start, stop in spans(len(queries), rows):
        total: Tensor | None = None
        top: Tensor | None = None
        allowed: Tensor | None = None
        for index, layer in drawn.items():
            block = heads_block(trace.layers[index], queries[start:stop], keys, reading, start)
            largest = block.weights.amax(dim=0)
            layer.codes.append(_encoded(encode, block.weights, factor, block.allowed))
            layer.mean.append(_encoded(wire.encode_u1, block.weights.mean(dim=0), small, block.allowed))
            layer.top.append(_encoded(wire.encode_u1, largest, small, block.allowed))
            layer.spreads.append(entropy(block.weights))
            layer.reaches.append(reach(block.weights, query_positions[start:stop], key_positions))
            layer.peaks.append(block.weights.nan_to_num(0.0).amax(dim=(-2, -1)))
            first = total is None or top is None
            allowed = block.allowed if first else _either(allowed, block)
            total = block.weights.sum(dim=0) if total is None else total + block.weights.sum(dim=0)
            top = largest if top is None else torch.maximum(top, largest)
        if total is not None and top is not None:
            means.append(_encoded(wire.encode_u1, total / n_heads, small, allowed))
            tops.append(_encoded(wire.encode_u1, top, small, allowed))
    return drawn, means, tops


class _Aggregates:
    """Small pictures one after the other, and a header that says where each is."""

    def __init__(self) -> None:
        self.header: list[dict[str, Any]] = []
        self._pictures: list[NDArray[Any]] = []

    def add(self, layer: LayerName, how: str, blocks: list[NDArray[Any]]) -> None:
        picture = np.concatenate(blocks)
        offset = sum(before.size for before in self._pictures)
        rows, cols = picture.shape
        self.header.append({"layer": layer, "head": how, "rows": rows, "cols": cols, "offset": offset})
        self._pictures.append(picture)

    def codes(self) -> NDArray[Any]:
        return np.concatenate([picture.ravel() for picture in self._pictures])


def _encoded(
    encode: Any, weights: Float[Tensor, "*head row column"], factor: int, allowed: Bool[Tensor, "row column"] | None
) -> NDArray[Any]:
    small = block_max(weights, factor, allowed)
    return encode(small.values.numpy(), None if small.masked is None else small.masked.numpy())


def _either(allowed: Tensor | None, block: Block) -> Tensor | None:
    """What one or the other allows; None allows everything."""
    return None if allowed is None or block.allowed is None else allowed | block.allowed


def _facts(trace: Trace, index: int) -> dict[str, Any]:
    """What the browser is told of a layer."""
    layer = trace.layers[index]
    group = next(group for group in groups(trace) if index in group.layers)
    encoder_decoder = bool(trace.target_tokens)
    return {
        "stack": group.stack,
        "kind": group.kind,
        "index": layer.index,
        "layer": index,
        "label": f"layer {layer.index}",
        "queries": "target" if encoder_decoder and layer.kind != "encoder self" else "source",
        "keys": "target" if encoder_decoder and layer.kind == "decoder self" else "source",
        "n_heads": layer.n_heads,
        "n_kv_heads": layer.n_kv_heads,
        "causal": layer.causal,
    }


def _hidden_inputs(trace: Trace) -> list[str]:
    hidden = [layer for layer in trace.layers if not layer.exact]
    if not hidden:
        return []
    where = "" if len(hidden) == len(trace.layers) else f" in {len(hidden)} of {len(trace.layers)} layers"
    return [f"Weights only{where}: {trace.facts.architecture} hides q and k."]


def _shown(shown: tuple[Item, ...]) -> list[dict[str, Any]]:
    return [{"t": item.text, "i": item.pieces[0], "p": list(item.pieces), "s": int(item.special)} for item in shown]
