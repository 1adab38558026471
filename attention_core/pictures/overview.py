"""The atlas (all heads as small pictures) with the mean and the maximum over heads, as one pack for the browser."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from numpy.typing import NDArray
from torch import Tensor

from attention_core.formats import wire
from attention_core.formats.json_data import JsonObject
from attention_core.formula.metrics import entropy, reach
from attention_core.pictures.blocks import BlockMask, block_max, block_side, free_columns, thumbnail_side
from attention_core.pictures.head import json_number, positions_of, rows_and_columns, second_begins, shown_of
from attention_core.reading.contribution import contribution_shares
from attention_core.reading.reading import Item, Reading, describe, read_allowed, read_weights
from attention_core.record.groups import Group, LayerName, groups, rows_per_block, spans
from attention_core.record.layers import AttentionLayer
from attention_core.record.record import Record

WHOLE_BYTES = 2_400_000  # all heads are sent whole, 2 bytes a weight, while they fit: 72 heads of 128 tokens do
OVERVIEW_BYTES = 300_000  # otherwise block maxima of all heads, 1 byte each: 72 heads of 64 × 64
AGGREGATE_SIDE = 32  # cells a side of the small pictures of mean and maximum


def overview(trace: Record, reading: Reading) -> bytes:
    """Every head's picture, with the means and maxima over heads, as one pack.

    Buffers: `heads`, the pictures one after the other (layer, head, row, column): whole as u2 if they fit WHOLE_BYTES,
    else block maxima as u1; `aggregates`, small u1 pictures. The header holds tokens, layers with the place of their
    first picture, and each head's entropy (bits), reach (tokens) and largest weight; `free_sums` where rows were given
    that need not sum to 1; `second`, of a pair, the index of the source token with which the second sentence begins.
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

    layers: list[JsonObject] = []
    pictures: list[NDArray[np.generic]] = []
    offset = 0
    for index in range(len(trace.layers)):
        codes = np.concatenate(drawn[index].codes, axis=1)
        layers.append({**_facts(trace, index), "offset": offset, "rows": codes.shape[1], "cols": codes.shape[2]})
        pictures.append(codes.ravel())
        offset += codes.size
    numbers = [drawn[index].numbers() for index in range(len(trace.layers))]
    header = {
        "model": {"id": trace.facts.id, "name": trace.facts.name},
        "note": [*trace.notes, *_hidden_inputs(trace), *describe(reading)],
        "tokens": {
            "source": _shown(shown_of(trace, trace.source_tokens, reading)),
            "target": _shown(shown_of(trace, trace.target_tokens, reading)) if trace.target_tokens else [],
        },
        "layers": layers,
        "full": whole,
        **({} if trace.sums_to_one else {"free_sums": True}),
        **({"second": second} if (second := second_begins(trace)) is not None else {}),
        "summary": {name: [of_layer[name] for of_layer in numbers] for name in ("entropy", "reach", "peak")},
        "aggregates": aggregates.header,
    }
    return wire.pack(header, heads=np.concatenate(pictures), aggregates=aggregates.codes())


@dataclass(slots=True)
class _Layer:
    """What has been drawn of one layer, block of rows after block of rows."""

    codes: list[NDArray[np.generic]] = field(default_factory=list)  # [head, row, column]
    mean: list[NDArray[np.generic]] = field(default_factory=list)
    top: list[NDArray[np.generic]] = field(default_factory=list)
    spreads: list[Float[Tensor, "head row"]] = field(default_factory=list)
    reaches: list[Float[Tensor, "head row"]] = field(default_factory=list)
    peaks: list[Float[Tensor, " head"]] = field(default_factory=list)

    def numbers(self) -> dict[str, list[float | None]]:
        """Per head: mean entropy (bits), mean reach (tokens), largest weight."""
        means = {
            "entropy": torch.cat(self.spreads, dim=-1).nanmean(dim=-1),
            "reach": torch.cat(self.reaches, dim=-1).nanmean(dim=-1),
            "peak": torch.stack(self.peaks).amax(dim=0),
        }
        return {name: [json_number(value) for value in values] for name, values in means.items()}


def _draw(
    trace: Record, reading: Reading, group: Group, side: int, whole: bool
) -> tuple[dict[int, _Layer], list[NDArray[np.generic]], list[NDArray[np.generic]]]:
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
        together: _Together | None = None
        masked: list[tuple[_LayerBlock, _Blocks, _Blocks]] = []  # one of each mask, which most layers share
        for index, layer in drawn.items():
            attention = trace.layers[index]
            found = next((known for known in masked if attention.same_mask(known[0].layer)), None)
            if found is None:
                block = _of_layer(attention, queries[start:stop], keys, reading)
                shown = block.allowed, len(keys)
                found = block, _Blocks(encode, factor, *shown), _Blocks(wire.encode_u1, small, *shown)
                masked.append(found)
            block, picture, coarse = found
            of_layer = _Together(block.allowed)
            positions = query_positions[start:stop], key_positions[: block.n_columns]
            codes, spreads, reaches, peaks = [], [], [], []
            for weights in block.weights(attention):
                codes.append(picture.of(weights))
                of_layer.add(weights)
                row_sums = weights.sum(dim=-1)
                spreads.append(entropy(weights, row_sums))
                reaches.append(reach(weights, *positions, row_sums))
                peaks.append(weights.amax(dim=-1).nan_to_num(0.0).amax(dim=-1))
            layer.codes.append(np.concatenate(codes))
            layer.mean.append(coarse.of(of_layer.total / attention.n_heads))
            layer.top.append(coarse.of(of_layer.top))
            layer.spreads.append(torch.cat(spreads))
            layer.reaches.append(torch.cat(reaches))
            layer.peaks.append(torch.cat(peaks))
            together = of_layer if together is None else together.joined(of_layer)
        if together is not None:
            coarse = _Blocks(wire.encode_u1, small, together.allowed, len(keys))
            means.append(coarse.of(together.total / n_heads))
            tops.append(coarse.of(together.top))
    return drawn, means, tops


CELLS_AT_ONCE = 2_000_000  # head · row · key cells: 8 MB a tensor; with fewer, two threads meet too often


@dataclass(frozen=True, slots=True, eq=False)
class _LayerBlock:
    """Some rows of all heads of a layer, and only the columns that they can see."""

    layer: AttentionLayer
    rows: slice  # of tokens
    n_keys: int
    here: Sequence[Item]  # the rows' items, counted from the block's first token
    seen: tuple[Item, ...]  # the columns
    passed: Bool[Tensor, "query key"] | None
    allowed: Bool[Tensor, "row column"] | None
    reading: Reading
    n_free: int = 0  # the first so many keys may be read by all rows

    @property
    def n_columns(self) -> int:
        return len(self.seen)

    def weights(self, layer: AttentionLayer) -> Iterator[Float[Tensor, "head row column"]]:
        """The rows of a few heads at a time, of this layer or of another that has the same mask."""
        cells = (self.rows.stop - self.rows.start) * self.n_keys
        for first, last in spans(layer.n_heads, max(1, CELLS_AT_ONCE // cells)):
            weights = layer.block_weights(slice(first, last), self.rows, self.n_keys, self.passed, self.n_free)
            weights = weights.cpu()
            if self.reading.by_norm:
                weights = contribution_shares(layer, weights, slice(first, last))
            yield read_weights(weights, self.here, self.seen, renormalise=self.reading.renormalise)


def _of_layer(layer: AttentionLayer, queries: Sequence[Item], keys: Sequence[Item], reading: Reading) -> _LayerBlock:
    first = queries[0].pieces[0]
    rows = slice(first, queries[-1].pieces[-1] + 1)
    n_keys = layer.keys_seen(rows)
    seen = tuple(item for item in keys if item.pieces[-1] < n_keys)
    if len(seen) < len(keys) and (not seen or keys[len(seen)].pieces[0] < n_keys):
        n_keys, seen = layer.n_key, tuple(keys)  # a word that the edge would cut in two, or nothing but hidden keys
    passed = layer.allowed(None, rows)
    passed = None if passed is None else passed[:, :n_keys]
    here = queries if first == 0 else [_counted_from(first, item) for item in queries]
    shown = None if passed is None else read_allowed(passed.cpu(), here, seen)
    n_free = 0 if passed is None else free_columns(passed)
    return _LayerBlock(layer, rows, n_keys, here, seen, passed, shown, reading, n_free)


def _counted_from(first: int, item: Item) -> Item:
    return Item(item.text, tuple(piece - first for piece in item.pieces), item.special)


class _Together:
    """Sum and maximum over heads, cell by cell, head after head."""

    def __init__(self, allowed: Bool[Tensor, "row column"] | None) -> None:
        self.allowed = allowed
        self._total: Float[Tensor, "row column"] | None = None
        self._top: Float[Tensor, "row column"] | None = None

    @property
    def total(self) -> Tensor:
        return torch.empty(0) if self._total is None else self._total

    @property
    def top(self) -> Tensor:
        return torch.empty(0) if self._top is None else self._top

    def add(self, weights: Float[Tensor, "head row column"]) -> None:
        if self._total is None or self._top is None:
            self._total, self._top = weights.sum(dim=0), weights.amax(dim=0)
            return
        for of_head in weights:
            self._total += of_head
            torch.maximum(self._top, of_head, out=self._top)

    def joined(self, other: "_Together") -> "_Together":
        """With the heads of another layer, which may see more columns (a sliding window beside full attention)."""
        wide = max(self.total.shape[-1], other.total.shape[-1])
        allowed = self.allowed
        if other.allowed is None:
            allowed = None
        elif allowed is not None and allowed is not other.allowed:
            allowed = _widened(allowed, wide, False) | _widened(other.allowed, wide, False)
        both = _Together(allowed)
        both._total = _widened(self.total, wide, 0.0) + _widened(other.total, wide, 0.0)
        both._top = torch.maximum(_widened(self.top, wide, 0.0), _widened(other.top, wide, 0.0))
        return both


def _widened(
    values: Shaped[Tensor, "*block column"], n_columns: int, value: float | bool
) -> Shaped[Tensor, "*block wide"]:
    missing = n_columns - values.shape[-1]
    return torch.nn.functional.pad(values, (0, missing), value=value) if missing else values


class _Blocks:
    """Block maxima as codes, for pictures that share their mask; columns that no row sees are masked."""

    def __init__(
        self,
        encode: Callable[..., NDArray[np.integer]],
        factor: int,
        allowed: Bool[Tensor, "row column"] | None,
        n_columns: int,
    ) -> None:
        self.encode = encode
        self.factor = factor
        self.n_columns = -(-n_columns // factor)  # of the whole picture
        self.mask = None if allowed is None else BlockMask(allowed, (factor, factor))
        self._masked = None if self.mask is None else _widened(self.mask.masked, self.n_columns, True).numpy()

    def of(self, weights: Float[Tensor, "*head row column"]) -> NDArray[np.generic]:
        values = block_max(weights, self.factor).values if self.mask is None else self.mask.maxima(weights)
        return self.encode(_widened(values, self.n_columns, float("nan")).numpy(), self._masked)


class _Aggregates:
    """Small pictures one after the other, and a header that says where each is."""

    def __init__(self) -> None:
        self.header: list[JsonObject] = []
        self._pictures: list[NDArray[np.generic]] = []

    def add(self, layer: LayerName, how: str, blocks: list[NDArray[np.generic]]) -> None:
        picture = np.concatenate(blocks)
        offset = sum(before.size for before in self._pictures)
        rows, cols = picture.shape
        self.header.append({"layer": layer, "head": how, "rows": rows, "cols": cols, "offset": offset})
        self._pictures.append(picture)

    def codes(self) -> NDArray[np.generic]:
        return np.concatenate([picture.ravel() for picture in self._pictures])


def _facts(trace: Record, index: int) -> JsonObject:
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
        "exact": layer.exact,
    }


def _hidden_inputs(trace: Record) -> list[str]:
    hidden = [layer for layer in trace.layers if not layer.exact]
    if not hidden:
        return []
    where = "" if len(hidden) == len(trace.layers) else f" in {len(hidden)} of {len(trace.layers)} layers"
    if trace.given:
        return [f"Weights only{where}, given by you: no model computed them here, and nothing could be recomputed."]
    return [f"Weights only{where}: {trace.only_weights}."]


def _shown(shown: tuple[Item, ...]) -> list[JsonObject]:
    return [{"t": item.text, "i": item.pieces[0], "p": list(item.pieces), "s": int(item.special)} for item in shown]
