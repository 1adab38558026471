"""Every metric of every head on a trace, layer by layer and in blocks of rows: never a whole attention matrix.

    scores = head_scores(trace)             # 72 heads of 512 tokens: about a second
    scores.of(layer=0, head=2)["previous"]  # 0.83; None where the metric has no meaning
    scores.column("entropy")                # one number per head, in the order of scores.heads
    scores.even_of(layer=0)["previous"]     # what even attention over the same keys would score: chance
    scores.profile(layer=0, head=2)         # mean weight at distances −32 … 32

What the metrics mean is in `catalogue.METRICS`. The weights are taken as the model computed them: with sinks,
special tokens and all. What a head may be *called* is another question, answered by `labels`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attention_core.formats.shown import short_repr
from attention_core.formula.metrics import adjusted_share, correlation, entropy, offset_sums
from attention_core.heads.catalogue import METRIC, METRICS, MetricId
from attention_core.reading.contribution import all_attention
from attention_core.record.layers import AttentionLayer
from attention_core.record.record import Record
from attention_core.text.marks import KeyMarks, after_earlier, key_marks, same_token, token_ids

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_DISTANCE = 32  # of a distance profile, to either side
CELLS_PER_BLOCK = 400_000  # head · row · key cells at a time: 1.6 MB a tensor, so that a block stays near the processor
COLUMN: dict[MetricId, int] = {metric.id: i for i, metric in enumerate(METRICS)}


@dataclass(frozen=True, slots=True, eq=False)
class HeadScores:
    """All metrics of all heads of a trace. NaN in a tensor, None in a list: the metric has no meaning there."""

    heads: tuple[tuple[int, int], ...]  # (index into trace.layers, head) of each row
    values: Float[Tensor, "row metric"]  # metrics in the order of METRICS
    even: Float[Tensor, "layer metric"]  # the same for attention that is even over the keys each query may read
    profiles: Float[Tensor, "row distance"]  # mean weight at key − query = −32 … 32; NaN where no pair of tokens is
    edited: tuple[str, ...] = ()  # sentences: what was changed while the model ran

    GO_ON: ClassVar[str] = '.of(layer, head) · .column("induction") · .ranked("induction") · .to_pandas()'

    __repr__ = short_repr

    def of(self, layer: int, head: int) -> dict[MetricId, float | None]:
        """All metrics of one head."""
        return _named(self.values[self._row(layer, head)])

    def even_of(self, layer: int) -> dict[MetricId, float | None]:
        """What a head of this layer would score with even attention."""
        return _named(self.even[layer])

    def column(self, metric: MetricId) -> list[float | None]:
        """One metric of every head, in the order of `heads`."""
        return [_number(value) for value in self.values[:, COLUMN[metric]].tolist()]

    def profile(self, layer: int, head: int) -> Float[Tensor, " distance"]:
        """Mean weight at each signed distance key − query, from −MOST_DISTANCE to MOST_DISTANCE."""
        return self.profiles[self._row(layer, head)]

    def ranked(self, metric: MetricId) -> tuple[tuple[int, int], ...]:
        """The heads for which the metric means something, highest first; equal ones in order."""
        column = self.values[:, COLUMN[metric]]
        order = column.nan_to_num(-math.inf).argsort(descending=True, stable=True).tolist()
        return tuple(self.heads[row] for row in order if not math.isnan(column[row]))

    def to_pandas(self) -> "DataFrame":
        """A row for each head, indexed by layer (in `trace.layers`) and head; a column for each metric, or NaN.

        Of an edited run `attrs["edited"]` says what was edited.
        """
        import pandas

        index = pandas.MultiIndex.from_tuples(self.heads, names=("layer", "head"))
        table = pandas.DataFrame(self.values.numpy(), index=index, columns=[metric.id for metric in METRICS])
        if self.edited:
            table.attrs["edited"] = list(self.edited)
        return table

    def _row(self, layer: int, head: int) -> int:
        try:
            return self.heads.index((layer, head))
        except ValueError:
            raise ValueError(f"there is no head {layer}.{head} among these {len(self.heads)} heads") from None


class Stopped(Exception):
    """Raised out of a long computation whose `stop` said so; nothing is left behind."""


def never() -> bool:
    """The usual `stop` of a long computation: go on to the end."""
    return False


def head_scores(trace: Record, stop: Callable[[], bool] = never, *, by_norm: bool = False) -> HeadScores:
    """Every metric of every head. `stop` is asked before each layer.

    With `by_norm` the same metrics of what each key adds, ‖a·v·W_O‖ as a share of its row, in place of the weights.
    Memory: a few blocks of CELLS_PER_BLOCK weights, and numbers that grow with heads and tokens alone.
    Raises Stopped if `stop` said so, ValueError for a layer without contributions if those are asked for.
    """
    values, evens, profiles = [], [], []
    # Even attention of layers that read alike is measured once.
    known: dict[object, tuple[Float[Tensor, "head metric"], Float[Tensor, "head distance"]]] = {}
    for index, layer in enumerate(trace.layers):
        if stop():
            raise Stopped
        asked = _Asked.of(trace, index)
        measured, profile = _measure(layer, asked, partial(all_attention, layer, by_norm=by_norm), layer.n_heads)
        alike = (layer.kind, getattr(layer, "mask", layer.causal))  # a mask that is a tensor is equal to itself alone
        if alike not in known:
            known[alike] = _measure(layer, asked, lambda rows, layer=layer: even_weights(layer, rows)[None], 1)
        values.append(measured)
        profiles.append(profile)
        evens.append(known[alike][0])
    return HeadScores(
        heads=tuple((i, head) for i, layer in enumerate(trace.layers) for head in range(layer.n_heads)),
        values=torch.cat(values),
        even=torch.cat(evens),
        profiles=torch.cat(profiles),
        edited=trace.edited,
    )


def even_weights(layer: AttentionLayer, rows: slice = slice(None)) -> Float[Tensor, "query key"]:
    """Attention spread evenly over the keys that each query may read."""
    allowed = layer.allowed(None, rows)
    if allowed is None:
        return torch.full((len(range(layer.n_query)[rows]), layer.n_key), 1 / layer.n_key)
    allowed = allowed.to("cpu", torch.float32)
    return allowed / allowed.sum(dim=-1, keepdim=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What the metrics ask of a layer's tokens."""

    marks: KeyMarks
    query_ids: Int[Tensor, " query"]
    key_ids: Int[Tensor, " key"]
    cross: bool

    @classmethod
    def of(cls, trace: Record, layer: int) -> "_Asked":
        queries, keys = trace.query_tokens(layer), trace.key_tokens(layer)
        return cls(key_marks(keys), token_ids(queries), token_ids(keys), trace.layers[layer].kind == "cross")


_MARKED: tuple[MetricId, ...] = ("first", "separator", "punctuation", "rare")


@dataclass(slots=True)
class _Means:
    """Means over the queries that count, added up block of rows after block of rows."""

    n_heads: int
    sums: dict[MetricId, Float[Tensor, " head"]] = field(default_factory=dict)
    counts: dict[MetricId, int] = field(default_factory=dict)

    def add(
        self, metric: MetricId, values: Float[Tensor, "head query"], counted: Bool[Tensor, " query"] | None = None
    ) -> None:
        kept = values if counted is None else values[:, counted]
        self.sums[metric] = self.sums.get(metric, 0) + kept.double().sum(dim=-1)
        self.counts[metric] = self.counts.get(metric, 0) + kept.shape[-1]

    def table(self) -> Float[Tensor, "head metric"]:
        found = torch.full((self.n_heads, len(METRICS)), math.nan, dtype=torch.float64)
        for metric, total in self.sums.items():
            if self.counts[metric]:
                found[:, COLUMN[metric]] = total / self.counts[metric]
        return found


def _measure(
    layer: AttentionLayer, asked: _Asked, weights_of: Callable[[slice], Float[Tensor, "head query key"]], n_heads: int
) -> tuple[Float[Tensor, "head metric"], Float[Tensor, "head distance"]]:
    """The metrics and the distance profile of `n_heads` heads whose weights come in blocks of rows."""
    n_query, n_key = layer.n_query, layer.n_key
    means = _Means(n_heads)
    distances = _Distances(n_heads, n_query, n_key)
    places = torch.arange(n_key) - (n_key - 1) / 2  # about the middle: no large numbers to subtract
    marks = torch.stack([getattr(asked.marks, name) for name in _MARKED], dim=-1)
    # One product gives each row's sum, its first two moments, and its weight on each kind of marked key.
    columns = torch.cat((torch.stack((places**0, places, places**2), dim=-1), marks.float()), dim=-1)
    moments = torch.zeros(n_heads, 6, dtype=torch.float64)
    step = max(1, CELLS_PER_BLOCK // (n_heads * n_key))
    for start in range(0, n_query, step):
        rows = slice(start, min(n_query, start + step))
        weights = weights_of(rows)
        allowed = layer.allowed(None, rows)
        allowed = None if allowed is None else allowed.cpu()
        read = weights @ columns
        total = read[..., 0]
        means.add("entropy", entropy(weights))
        moments += _moments(read[..., :3].double(), torch.arange(n_query)[rows] - (n_query - 1) / 2)
        own = weights.diagonal(start, dim1=-2, dim2=-1) if not asked.cross else None
        _add_marked(means, read[..., 3:], own, marks, allowed, rows)
        if own is None:
            continue
        _add_pairs(means, weights, asked, allowed, rows)
        _add_neighbours(means, weights, start, causal=layer.causal)
        distance = (torch.arange(n_query)[rows, None] - torch.arange(n_key)).abs().float()
        means.add("reach", torch.einsum("hqk,qk->hq", weights, distance) / total)
        distances.add(weights, allowed, start)
    table = means.table()
    table[:, COLUMN["diagonal"]] = correlation(moments)
    if not asked.cross:
        table[:, COLUMN["positional"]] = distances.explained()
    return table, distances.profile(MOST_DISTANCE)


def _moments(read: Float[Tensor, "head query 3"], places: Float[Tensor, " query"]) -> Float[Tensor, "head 6"]:
    """Sums of 1, x, y, x², y² and xy over a block's cells by their weights; x the query's place, y the key's."""
    total, key, key_squared = read.unbind(dim=-1)
    x = places.double()
    return torch.stack(
        [total.sum(-1), total @ x, key.sum(-1), total @ x**2, key_squared.sum(-1), key @ x],
        dim=-1,
    )


def _add_marked(
    means: _Means,
    read: Float[Tensor, "head query mark"],
    own: Float[Tensor, "head diagonal"] | None,
    marks: Bool[Tensor, "key mark"],
    allowed: Bool[Tensor, "query key"] | None,
    rows: slice,
) -> None:
    """Weight on marked keys; a query's look at itself is left out."""
    n_query = read.shape[1]
    can_read = marks.sum(dim=0).expand(n_query, -1) if allowed is None else allowed.float() @ marks.float()
    if own is not None:
        here = torch.zeros_like(marks[:n_query], dtype=torch.float32)
        here[: own.shape[-1]] = marks[rows].float()[: own.shape[-1]]
        looked = own[:, :, None] * here[: own.shape[-1]]
        read = torch.cat((read[:, : own.shape[-1]] - looked, read[:, own.shape[-1] :]), dim=1)
        can_read = can_read - here
    for i, name in enumerate(_MARKED):
        means.add(name, read[..., i], can_read[:, i] > 0)


def _add_pairs(
    means: _Means,
    weights: Float[Tensor, "head query key"],
    asked: _Asked,
    allowed: Bool[Tensor, "query key"] | None,
    rows: slice,
) -> None:
    """Weight on pairs of tokens that are told by what the tokens are."""
    pairs: dict[MetricId, Bool[Tensor, "query key"]] = {
        "duplicate": same_token(asked.query_ids[rows], asked.key_ids, rows.start),
        "induction": after_earlier(asked.query_ids[rows], asked.key_ids, rows.start),
    }
    for name, pair in pairs.items():
        pair = pair if allowed is None else pair & allowed
        counted = pair.any(dim=-1)
        if counted.any():
            means.add(name, torch.einsum("hqk,qk->hq", weights, pair.float()), counted)


def _add_neighbours(means: _Means, weights: Float[Tensor, "head query key"], start: int, *, causal: bool) -> None:
    """Weight at the distances −1, 0 and 1."""
    steps: dict[MetricId, int] = {"previous": -1, "same": 0, "next": 1}
    for name, step in steps.items():
        if name == "next" and causal:
            continue
        if start + step >= -weights.shape[-2] and start + step < weights.shape[-1]:
            means.add(name, weights.diagonal(start + step, dim1=-2, dim2=-1))


class _Distances:
    """Sums of weights at each signed distance key − query, and of their squares."""

    def __init__(self, n_heads: int, n_query: int, n_key: int) -> None:
        self.n_query, self.n_key = n_query, n_key
        self.sums = torch.zeros(n_heads, n_query + n_key - 1, dtype=torch.float64)
        self.counts = torch.zeros(n_query + n_key - 1, dtype=torch.float64)
        self.squares = torch.zeros(n_heads, dtype=torch.float64)

    def add(
        self, weights: Float[Tensor, "head query key"], allowed: Bool[Tensor, "query key"] | None, start: int
    ) -> None:
        n_rows = weights.shape[-2]
        ones = torch.ones(n_rows, self.n_key) if allowed is None else allowed.float()
        first = self.n_query - start - n_rows  # place of the block's lowest distance, −(start + n_rows − 1)
        where = slice(first, first + n_rows + self.n_key - 1)
        self.sums[:, where] += offset_sums(weights)
        self.counts[where] += offset_sums(ones)
        # In double: a variance is what two large sums differ by.
        self.squares += torch.linalg.vector_norm(weights, dim=(-2, -1), dtype=torch.float64).square()

    def explained(self) -> Float[Tensor, " head"]:
        return adjusted_share(self.sums, self.counts, self.squares)

    def profile(self, most: int) -> Float[Tensor, "head distance"]:
        """Means at −most … most; NaN where no pair of tokens is."""
        found = torch.full((len(self.sums), 2 * most + 1), math.nan)
        for distance in range(-most, most + 1):
            place = distance + self.n_query - 1
            if 0 <= place < len(self.counts) and self.counts[place]:
                found[:, distance + most] = (self.sums[:, place] / self.counts[place]).float()
        return found


def _named(values: Float[Tensor, " metric"]) -> dict[MetricId, float | None]:
    return {metric.id: _number(value) for metric, value in zip(METRICS, values.tolist(), strict=True)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


__all__ = ["COLUMN", "METRIC", "METRICS", "MOST_DISTANCE", "HeadScores", "Stopped", "even_weights", "head_scores"]
