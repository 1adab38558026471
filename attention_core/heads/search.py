"""Finding heads on a trace: those that look from one word to another, and those that look where a given head looks.

    it, animal = occurrences(trace.tokens, "it"), occurrences(trace.tokens, "animal")
    find_heads(trace, it[0], animal[0])[0]       # Found(layer=3, head=1, weight=0.68, null=0.02, rank=1, …)
    similar_heads(trace, layer=0, head=2)[:6]    # Similar(layer=1, head=9, distance=0.41) …

Both work in blocks of rows and never hold a whole attention matrix.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.heads.scores import CELLS_PER_BLOCK, Stopped, never
from attention_core.reading.contribution import all_attention
from attention_core.record.layers import AttentionLayer, Kind
from attention_core.record.record import Record
from attention_core.text.tokens import Token, join_texts


@dataclass(frozen=True, slots=True)
class Found:
    """How much one head looks from one place to another."""

    layer: int
    head: int
    weight: float  # on the keys asked for, summed over them and averaged over the queries; 0 to 1
    null: float  # as much, for as many keys: the same queries' mean over the other keys that they may read; NaN if none
    rank: int  # place of the keys' mean weight among the weights of all keys that the queries read: 1 = the strongest
    of: int  # how many places there are


def find_heads(
    trace: Record, queries: Sequence[int], keys: Sequence[int], kind: Kind | None = None, *, by_norm: bool = False
) -> tuple[Found, ...]:
    """Every head that can look from the tokens `queries` to the tokens `keys`, the largest weight first.

    Both are token indices, several where a word has several pieces: weights are summed over the keys and averaged over
    the queries, as everywhere. `kind` picks the layers (None: every layer whose tokens reach so far and whose mask lets
    one of the queries read one of the keys): in an encoder-decoder indices mean other tokens on each side. `by_norm`
    takes what the keys add, ‖a·v·W_O‖ as a share of its row, in place of their weights.

    Raises ValueError for an empty choice, an index that no such layer has, or a layer without contributions.
    """
    queries, keys = sorted(set(queries)), sorted(set(keys))
    if not queries or not keys:
        raise ValueError(f"heads are found by at least one query and one key; got {len(queries)} and {len(keys)}")
    fits = [
        (index, layer)
        for index, layer in enumerate(trace.layers)
        if kind in (None, layer.kind) and queries[-1] < layer.n_query and keys[-1] < layer.n_key
    ]
    if not fits or queries[0] < 0 or keys[0] < 0:
        raise ValueError(f"no layer{f' ({kind})' if kind else ''} has query {queries} and key {keys}")
    found = [one for index, layer in fits for one in _found(index, layer, queries, keys, by_norm)]
    return tuple(sorted(found, key=lambda one: (-one.weight, one.layer, one.head)))


def occurrences(tokens: Sequence[Token], word: str, *, capitals: bool = True) -> tuple[tuple[int, ...], ...]:
    """Where a word stands, as its pieces are shown: the indices of its pieces, once for each occurrence.

    `capitals` False takes "The" for "the", and so the aromatic c of a molecule for the aliphatic C.
    """
    numbered = [(index, token) for index, token in enumerate(tokens) if token.word is not None]
    words = (tuple(group) for _, group in groupby(numbered, key=lambda pair: pair[1].word))
    asked = word.strip() if capitals else word.strip().casefold()
    return tuple(
        tuple(index for index, _ in pieces)
        for pieces in words
        for whole in [join_texts(token.text for _, token in pieces)]
        if asked == (whole if capitals else whole.casefold())
    )


@dataclass(frozen=True, slots=True)
class Similar:
    """How far one head's attention is from another's."""

    layer: int
    head: int
    distance: float  # bits; 0 = the same attention in every row, 1 = never a key in common


def similar_heads(
    trace: Record, layer: int, head: int, stop: Callable[[], bool] = never, *, by_norm: bool = False
) -> tuple[Similar, ...]:
    """All other heads of the same kind of attention, the most alike in behaviour first.

    The distance is the Jensen–Shannon divergence between the two heads' attention, row by row, in bits, averaged over
    the queries: it compares where they look on this text, not their parameters. Rows are divided by their sums first.
    `by_norm` compares what each key adds, ‖a·v·W_O‖, in place of the weights.

    Raises ValueError for a head that does not exist or a layer without contributions, Stopped if `stop` said so.
    Source: Clark et al. 2019, section 6 (there summed over words, in nats); Lin 1991, equation 4.1.
    """
    layer, head = trace.place(layer, head)
    own = trace.layers[layer]
    kin = [index for index, other in enumerate(trace.layers) if other.kind == own.kind]
    sums = {index: torch.zeros(trace.layers[index].n_heads, dtype=torch.float64) for index in kin}
    n_heads = max(trace.layers[index].n_heads for index in kin)
    step = max(1, CELLS_PER_BLOCK // (n_heads * own.n_key))
    for start in range(0, own.n_query, step):
        rows = slice(start, min(own.n_query, start + step))
        one = _divided(all_attention(own, rows, by_norm=by_norm)[head])
        for index in kin:
            if stop():
                raise Stopped
            sums[index] += (
                divergence(one, _divided(all_attention(trace.layers[index], rows, by_norm=by_norm)))
                .double()
                .sum(dim=-1)
            )
    found = [
        Similar(index, other, float(total) / own.n_query)
        for index in kin
        for other, total in enumerate(sums[index].tolist())
        if (index, other) != (layer, head)
    ]
    return tuple(sorted(found, key=lambda similar: (math.isnan(similar.distance), similar.distance)))


def divergence(
    one: Float[Tensor, "*#batch query key"], other: Float[Tensor, "*batch query key"]
) -> Float[Tensor, "*batch query"]:
    """Jensen–Shannon divergence of rows that sum to 1, in bits: 0 = equal, 1 = no key in common.

    Source: Lin 1991, equation 4.1: H((p + r)/2) − H(p)/2 − H(r)/2.
    """
    entropies = [torch.special.entr(p).sum(dim=-1) for p in ((one + other) / 2, one, other)]
    return ((entropies[0] - entropies[1] / 2 - entropies[2] / 2) / math.log(2)).clamp(0, 1)


def _divided(weights: Float[Tensor, "*batch key"]) -> Float[Tensor, "*batch key"]:
    return weights / weights.sum(dim=-1, keepdim=True)


def _found(index: int, layer: AttentionLayer, queries: list[int], keys: list[int], by_norm: bool) -> list[Found]:
    """One row per query and head: heads · queries · keys memory."""
    rows = torch.stack(
        [all_attention(layer, slice(query, query + 1), by_norm=by_norm)[:, 0] for query in queries], dim=1
    )
    masks = [layer.allowed(None, slice(query, query + 1)) for query in queries]
    allowed = torch.stack([torch.ones(layer.n_key, dtype=torch.bool) if m is None else m[0].cpu() for m in masks])
    chosen = torch.zeros(layer.n_key, dtype=torch.bool)
    chosen[keys] = True
    if not bool(allowed[:, chosen].any()):
        return []
    weight = rows[..., chosen].sum(dim=-1).mean(dim=-1)
    others = allowed & ~chosen
    rest = rows.masked_fill(~others, 0).sum(dim=(-2, -1)) / others.sum() * len(keys)  # NaN if there are none
    # A word of several pieces stands in the ranking with its mean: as one key among the others.
    mean_row = rows.mean(dim=1)
    readable = allowed.any(dim=0) & ~chosen
    above = (mean_row[:, readable] > (weight / len(keys))[:, None]).sum(dim=-1)
    return [
        Found(index, head, float(weight[head]), float(rest[head]), 1 + int(above[head]), 1 + int(readable.sum()))
        for head in range(layer.n_heads)
    ]
